# mnistlua: `make` builds ./mnistlua, `make run` trains, `make check` tests. `make help` lists the rest.

ifeq ($(MAKELEVEL),0)
MAKEFLAGS += --jobs=$(shell nproc)
endif

CC      ?= gcc
ifeq ($(origin CC),default)
CC      := gcc
endif
V       ?= 0
Q       := $(if $(filter 1,$(V)),,@)
say      = @printf '%-5s %s\n' '$(1)' '$(2)'
BUILD   ?= build/release
TARGET  ?= mnistlua
OPT     ?= -O3
PKG     := lua5.4 zlib libdeflate libpng jansson sqlite3 libedit
HARDEN  := -D_FORTIFY_SOURCE=3 -fstack-protector-strong -fstack-clash-protection -fcf-protection -fPIE
WARN    := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Werror
CFLAGS  ?= -g $(HARDEN)
ALL_CFLAGS := -std=c11 -D_GNU_SOURCE $(OPT) -ffp-contract=off -fno-math-errno -fno-trapping-math -pthread $(WARN) -Isrc \
              $(shell pkg-config --cflags $(PKG) libmicrohttpd) $(CFLAGS) $(SAN)
ALL_LDFLAGS := -pthread -pie -Wl,-z,relro,-z,now $(LDFLAGS) $(SAN)
LIBS    := $(shell pkg-config --libs $(PKG)) -lm

CORE_SRC := $(wildcard src/base/*.c src/kernels/*.c src/tensor/*.c src/ops/*.c src/optim/*.c src/data/*.c src/io/*.c)
APP_SRC  := $(wildcard src/bind/*.c) src/main.c
TEST_SRC := $(wildcard tests/c/test_*.c)
TEST_AID := $(filter-out $(TEST_SRC),$(wildcard tests/c/*.c))
obj       = $(patsubst %.c,$(BUILD)/%.o,$(1))
TESTS    := $(patsubst tests/c/%.c,$(BUILD)/tests/c/%,$(TEST_SRC))

.PHONY: all help run data check check-c check-lua check-cli check-crash check-asan check-tsan fuzz bench bench-kernels lint web-tools clean

all: $(TARGET)

$(TARGET): $(call obj,$(CORE_SRC) $(APP_SRC))
	$(if $(Q),$(call say,LINK,$@))
	$(Q)$(CC) -o $@ $^ $(ALL_LDFLAGS) $(LIBS)

# The kernels' loops are compiled once per instruction set; everything else runs on any x86-64 (or other) machine.
ARCH := $(shell uname -m)
ifeq ($(ARCH),x86_64)
$(BUILD)/src/kernels/%avx2.o: ISA_FLAGS := -mavx2 -mfma
$(BUILD)/src/kernels/%avx512.o: ISA_FLAGS := -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma -mprefer-vector-width=512
$(BUILD)/src/kernels/%amx.o: ISA_FLAGS := -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512bf16 -mamx-tile \
                                           -mamx-bf16 -mfma -mprefer-vector-width=512
endif

$(BUILD)/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(if $(Q),$(call say,CC,$<))
	$(Q)$(CC) $(ALL_CFLAGS) $(ISA_FLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/tests/c/%: $(BUILD)/tests/c/%.o $(call obj,$(CORE_SRC) $(TEST_AID))
	$(if $(Q),$(call say,LINK,$@))
	$(Q)$(CC) -o $@ $^ $(ALL_LDFLAGS) $(LIBS) $(shell pkg-config --libs cmocka)

-include $(patsubst %.o,%.d,$(call obj,$(CORE_SRC) $(APP_SRC) $(TEST_SRC) $(TEST_AID)))

.SECONDARY:

help:
	@echo 'make            build ./mnistlua'
	@echo 'make run        build, fetch MNIST, train configs/mlp512.lua (without network: on synthetic digits)'
	@echo 'make data       fetch MNIST into data/mnist'
	@echo 'make check      all tests; check-c, check-lua, check-cli run one suite'
	@echo 'make check-crash  a run killed 300 times, at random and at every system call of a save; no space, EIO'
	@echo 'make check-asan all tests under the address, undefined-behaviour and leak sanitizers'
	@echo 'make check-tsan the C tests under the thread sanitizer'
	@echo 'make fuzz       the readers of files on bytes that clang makes up, FUZZ_SECONDS (20) each'
	@echo 'make bench      the speed of training and more, beside NumPy, PyTorch and scikit-learn where they are installed'
	@echo 'make bench-kernels  the kernels in GFLOP/s, beside the peak measured in the same run'
	@echo 'make web-tools  fetch what tests of exported models need (npm); without it they are skipped'
	@echo 'make lint       layering, file sizes, luacheck, and a build with clang'

data:
	@data/fetch mnist

# Without MNIST the run goes on, on digits that the program draws itself, and says so.
run: $(TARGET)
	@if data/fetch mnist; then ./$(TARGET) configs/mlp512.lua; else \
	  printf '\n*** MNIST could not be fetched: training on SYNTHETIC digits instead. ***\n\n' >&2; \
	  ./$(TARGET) configs/mlp512.lua --data digits; fi

check: $(TARGET) $(TESTS)
	@tests/run $(TEST_OPTIONS) --build $(BUILD) --program ./$(TARGET) c lua cli

check-c: $(TESTS)
	@tests/run --build $(BUILD) --program ./$(TARGET) c
check-lua: $(TARGET)
	@tests/run --build $(BUILD) --program ./$(TARGET) lua
check-cli: $(TARGET)
	@tests/run --build $(BUILD) --program ./$(TARGET) cli

# The short version of this is part of check-cli.
check-crash: $(TARGET)
	@CRASH_KILLS=300 MNISTLUA_PROGRAM=./$(TARGET) tests/cli/test_crash.sh

SAN_ADDRESS := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
check-asan:
	@$(MAKE) --no-print-directory BUILD=build/asan TARGET=build/asan/mnistlua OPT=-O2 CFLAGS=-g SAN='$(SAN_ADDRESS)' \
	  TEST_OPTIONS=--once check

check-tsan:
	@$(MAKE) --no-print-directory BUILD=build/tsan TARGET=build/tsan/mnistlua OPT=-O1 CFLAGS=-g SAN=-fsanitize=thread check-c

# Each reader of files on made-up bytes (tests/fuzz); needs clang and its run-time library.
FUZZ         := idx csv png prepare safetensors
FUZZ_SECONDS ?= 20
FUZZ_CFLAGS  := -O1 -g -Wno-pass-failed -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
build/fuzz/fuzz_%: tests/fuzz/fuzz_%.c tests/fuzz/as_file.h $(patsubst %.c,build/fuzz/%.o,$(CORE_SRC))
	$(if $(Q),$(call say,LINK,$@))
	$(Q)$(CC) $(ALL_CFLAGS) -o $@ $(filter-out %.h,$^) $(ALL_LDFLAGS) -fsanitize=fuzzer $(LIBS)

fuzz: $(TARGET)
	@$(MAKE) --no-print-directory CC=clang BUILD=build/fuzz CFLAGS= OPT= SAN='$(FUZZ_CFLAGS)' \
	  $(addprefix build/fuzz/fuzz_,$(FUZZ))
	@SEEDS=build/fuzz/seeds ./$(TARGET) tests/fuzz/seeds.lua
	@for target in $(FUZZ); do mkdir -p build/fuzz/found/$$target; echo "== $$target"; \
	  build/fuzz/fuzz_$$target -max_total_time=$(FUZZ_SECONDS) -rss_limit_mb=2048 -timeout=10 -print_final_stats=1 \
	    -verbosity=0 -artifact_prefix=build/fuzz/$$target- build/fuzz/found/$$target build/fuzz/seeds/$$target || exit 1; done

# BENCH holds options: make bench BENCH='--quick --save speed.json'
bench: $(TARGET)
	@./$(TARGET) bench $(BENCH)

$(BUILD)/tests/bench/%: $(BUILD)/tests/bench/%.o $(call obj,$(CORE_SRC))
	$(if $(Q),$(call say,LINK,$@))
	$(Q)$(CC) -o $@ $^ $(ALL_LDFLAGS) $(LIBS)

bench-kernels: $(BUILD)/tests/bench/bench_kernels $(BUILD)/tests/bench/bench_conv
	@for bench in $^; do $$bench || exit 1; done

lint:
	@tests/lint/run

# What tests of exported models need besides node; without it they are skipped.
web-tools:
	@mkdir -p build/web && cp tests/web/package.json tests/web/package-lock.json build/web/
	@cd build/web && npm ci --ignore-scripts --no-audit --no-fund

clean:
	rm -rf build $(TARGET)
