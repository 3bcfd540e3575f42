# A terminal for the tests: runs a command on a pseudo-terminal of 80 x 24 characters of 10 x 20 pixels, answers the
# question what it is (ESC [ c) with the first argument, if that is not empty, and prints all that the command writes.
# python3 terminal.py ANSWER COMMAND ...
import fcntl, os, pty, select, struct, sys, termios

answer, command = sys.argv[1].encode(), sys.argv[2:]
child, fd = pty.fork()
if child == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 800, 480))
    os.execvp(command[0], command)
output, answered = b"", False
while select.select([fd], [], [], 60)[0]:
    try:
        piece = os.read(fd, 65536)
    except OSError:
        break
    if not piece:
        break
    output += piece
    if not answered and b"\x1b[c" in output:
        answered = True
        if answer:
            os.write(fd, answer)
sys.stdout.buffer.write(output.replace(b"\r\n", b"\n"))
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
