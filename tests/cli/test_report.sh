# mnistlua report and the report at the end of a run: where it is written and where not, what stands in it, foreign text
# as text, and faults that are warnings.
. "$(dirname "$0")/tap.sh"

tiny 'e.metrics = { "user.more" }' 'local p = ml.params { lr = { 0.1, "the <i>rate</i>" } }' >tiny.lua
page=runs/*-tiny/report.html
has() { grep -qF -- "$2" $page && ok "$1" || not_ok "$1" "no '$2' in the page"; }

check "the end of a run writes it" 0 out='^report +runs/.*-tiny/report.html$' noerr='report' -- "$program" tiny.lua --seed 4
for id in draw curves mistakes confusion classes filters model parameters run config; do
  grep -q "<section[^>]* id=\"$id\"" $page && ok "it has the section $id" || not_ok "it has the section $id" "$(ls runs)"
done
has "it forbids every request" "default-src 'none'"
has "the command that repeats it" 'mnistlua tiny.lua --seed 4'
has "what the config says of a parameter, as text" 'the &lt;i&gt;rate&lt;/i&gt;'
grep -oE '(src|href)="[^"]*"|https?://[a-z0-9./]*|@import|url\([^#]' $page | grep -vx 'http://www.w3.org/2000/svg' >loads
[ -s loads ] && not_ok "it loads nothing" "$(cat loads)" || ok "it loads nothing"
cp $page first.html
check "report RUN writes the same again" 0 out='^report +runs/.*-tiny/report.html$' lines=0 -- "$program" report
cmp -s first.html $page && ok "to the byte" || not_ok "to the byte" "$(cmp first.html $page)"
check "into another file" 0 out='^report +other.html$' -- "$program" report 1 --output other.html
cmp -s first.html other.html && ok "which is the same" || not_ok "which is the same" "$(cmp first.html other.html)"

rm $page
check "--no-report" 0 out='^weights' -- "$program" tiny.lua --no-report --out plain
check "report = false" 0 -- sh -c '"$0" -e "print(1)" && sed "s/batch = 32/batch = 32, report = false/" tiny.lua >no.lua &&
  "$0" no.lua --out plain --json --quiet' "$program"
[ -z "$(find plain -name report.html)" ] && ok "write none" || not_ok "write none" "$(find plain -name report.html)"
check "--json prints one object" 0 lines=0 -- sh -c '"$0" tiny.lua --json --quiet --out j | wc -l | grep -qx 1' "$program"
check "a sweep's trials have none" 0 -- "$program" sweep tiny.lua lr=0.1,0.2 --out swept --quiet
[ -z "$(find swept -name report.html)" ] && ok "nor has the sweep" || not_ok "nor has the sweep" "$(find swept -name report.html)"

tiny 'e.on = { finish = function(run) os.execute("mkdir " .. run.dir .. "/report.html") end }' >blocked.lua
check "one that cannot be written is a warning" 0 out='^test accuracy' err='^mnistlua: warning: the report was not written: ' \
  lines=1 -- "$program" blocked.lua --quiet --out blocked
check "where it was asked for, an error" 1 err='^mnistlua: error: nowhere/x.html: ' lines=1 -- \
  "$program" report 1 --output nowhere/x.html

tiny 'e.model = nn.Sequential { nn.GRU(28, 8), nn.Linear(10) }' >gru.lua
check "a model that a page cannot compute" 0 -- "$program" gru.lua --out gru
grep -qF 'There is no draw pad: nn.GRU' gru/*/report.html && ok "is told" || not_ok "is told" "$(ls gru/*)"
tiny 'e.data = ml.data.tensors { x = ml.randn(64, 5), y = ml.zeros({ 64 }, "i32") }' >rows.lua
check "samples that are no pictures" 0 -- "$program" rows.lua --out rows
grep -qF 'the network takes samples of 5, not pictures of 28x28' rows/*/report.html && ok "are told" || not_ok "are told" ""

run=$(ls -d plain/*-tiny | head -n 1)
rm "$run/model.safetensors"
check "a run without weights" 0 err='warning: the model could not be opened: .*no weights' lines=1 -- "$program" report "$run"
page=$run/report.html
has "says so in the page" 'the model could not be opened'
has "and has its config" 'ml.experiment'
rm plain/runs.db "$run/config.lua"
check "without curves and config" 0 -- "$program" report "$run"
check "a run that is not there" 2 err='there is no run' lines=1 -- "$program" report nothing
check "an empty name" 2 err='--output: expected' lines=1 -- "$program" report --output ''
finish
