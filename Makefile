# Lethe: `make help` lists the targets. BUILD separates flavours, so that
# changing one never cleans another: build (release), build/asan, build/tsan.
BUILD   ?= build
CC      ?= cc
PKGS    := libevent libevent_pthreads libevent_openssl libsodium libcjson \
           libcurl libpsl sqlite3 zlib openssl
CSTD    := -std=c17 -D_GNU_SOURCE -Iinclude
WARN    := -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wstrict-prototypes \
           -Wmissing-prototypes -Wswitch-enum -Wvla -Wformat=2
HARDEN  := -fstack-protector-strong -D_FORTIFY_SOURCE=2 -fPIE
OPT     ?= -O2 -g
DEV     ?= 1
ifeq ($(DEV),1)
WARN    += -Werror
endif
SAN     ?=
ifneq ($(SAN),)
HARDEN  := -fPIE -fno-omit-frame-pointer -fsanitize=$(SAN) \
           -fno-sanitize-recover=all
OPT     := -O1 -g
endif
PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
PKG_LIBS   := $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lm
CFLAGS  += $(CSTD) $(WARN) $(OPT) $(HARDEN) $(PKG_CFLAGS) -pthread -MMD -MP
LDFLAGS += $(OPT) $(HARDEN) -pie -Wl,-z,relro,-z,now -pthread
Q       := $(if $(V),,@)

POLICY_SRC  := $(wildcard policy/*.c policy/*/*.c)
GATEWAY_SRC := $(filter-out gateway/main.c,$(wildcard gateway/*.c gateway/*/*.c gateway/*/*/*.c))
POLICY_OBJ  := $(POLICY_SRC:%.c=$(BUILD)/obj/%.o)
GATEWAY_OBJ := $(GATEWAY_SRC:%.c=$(BUILD)/obj/%.o)
UNIT_SRC    := $(wildcard tests/unit/test_*.c)
UNIT_BIN    := $(UNIT_SRC:tests/unit/%.c=$(BUILD)/unit/%)
FAULT_SRC   := $(wildcard tests/fault/*.c)
FAULT_BIN   := $(FAULT_SRC:tests/fault/%.c=$(BUILD)/fault/%) \
               $(patsubst tests/fault/preload/%.c,$(BUILD)/fault/%.so,\
               $(wildcard tests/fault/preload/*.c))
FUZZ_SRC    := $(wildcard tests/fuzz/fuzz_*.c)
REPLAY_BIN  := $(FUZZ_SRC:tests/fuzz/%.c=$(BUILD)/replay/%)

.DEFAULT_GOAL := all
.SECONDARY: # objects between two pattern rules stay
.PHONY: all
all: $(BUILD)/lethe

$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(if $(V),,@echo "  CC    $<")
	$(Q)$(CC) $(CFLAGS) -c -o $@ $<

# shipped.c takes these files in with .incbin, which -MMD does not see.
$(BUILD)/obj/policy/shipped.o: $(wildcard policy/profiles/*.json)

$(BUILD)/liblethe-policy.a: $(POLICY_OBJ)
	$(Q)rm -f $@ && ar rcs $@ $^

$(BUILD)/liblethe-gateway.a: $(GATEWAY_OBJ)
	$(Q)rm -f $@ && ar rcs $@ $^

$(BUILD)/lethe: $(BUILD)/obj/gateway/main.o $(BUILD)/liblethe-gateway.a \
                $(BUILD)/liblethe-policy.a
	$(if $(V),,@echo "  LD    $@")
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(PKG_LIBS)

$(BUILD)/unit/%: $(BUILD)/obj/tests/unit/%.o $(BUILD)/liblethe-gateway.a \
                 $(BUILD)/liblethe-policy.a
	@mkdir -p $(@D)
	$(if $(V),,@echo "  LD    $@")
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(WRAP_$*) $(PKG_LIBS) -lcmocka

# The verifier without a gateway around it, of its own files alone.
VERIFY_SRC := $(wildcard gateway/audit/verify/*.c gateway/audit/verify/alone/*.c)
$(BUILD)/lethe-verify: $(VERIFY_SRC:%.c=$(BUILD)/obj/%.o)
	$(if $(V),,@echo "  LD    $@")
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ -lsodium -lcrypto

# Tools of tests/fault, for its scripts and one scenario.
$(BUILD)/fault/%: $(BUILD)/obj/tests/fault/%.o $(BUILD)/liblethe-gateway.a \
                  $(BUILD)/liblethe-policy.a
	@mkdir -p $(@D)
	$(if $(V),,@echo "  LD    $@")
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(PKG_LIBS)

# Libraries to preload: plain, since they stand before a sanitizer's own.
$(BUILD)/fault/%.so: tests/fault/preload/%.c
	@mkdir -p $(@D)
	$(if $(V),,@echo "  LD    $@")
	$(Q)$(CC) $(CSTD) $(WARN) -O2 -g -fPIC -shared -pthread -o $@ $<

# Go reads what we write: with Debian's library, no module is fetched.
$(BUILD)/fault/check: tests/fault/check.go
	@mkdir -p $(@D)
	$(if $(V),,@echo "  GO    $@")
	$(Q)GO111MODULE=off GOPATH=/usr/share/gocode GOFLAGS= \
	  GOCACHE=$(abspath $(BUILD))/go-cache go build -o $@ $<

# Fuzz targets without libFuzzer: they try their corpus and end.
$(BUILD)/replay/%: $(BUILD)/obj/tests/fuzz/%.o \
                   $(BUILD)/obj/tests/fuzz/replay_main.o \
                   $(BUILD)/liblethe-gateway.a $(BUILD)/liblethe-policy.a
	@mkdir -p $(@D)
	$(if $(V),,@echo "  LD    $@")
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(PKG_LIBS)

.PHONY: fault-tools
fault-tools: $(FAULT_BIN)

.PHONY: unit check-unit
unit: $(UNIT_BIN) $(FAULT_BIN) $(REPLAY_BIN)
# One module: make check-unit T=json_reader
check-unit: $(BUILD)/unit/test_$(T)
	$(Q)$<

# The house. Each check is a script that can be run alone. The slow one, tidy,
# looks at files changed since LINT_SINCE=REV (default HEAD~1; "all": all).
LINT_CHECKS := format includes verifier banned sizes headers shell generated \
               schemas cppcheck man docs rights
.PHONY: lint fmt fmt-check
lint: $(LINT_CHECKS:%=lint-%) lint-tidy lint-selftest
.PHONY: lint-selftest lint-tidy $(LINT_CHECKS:%=lint-%)
$(LINT_CHECKS:%=lint-%) lint-selftest: lint-%:
	@echo "  LINT  $*"
	$(Q)CC="$(CC)" tests/lint/$*.sh
lint-tidy:
	@echo "  LINT  tidy"
	$(Q)tests/lint/tidy.sh $(LINT_SINCE)

fmt:
	$(Q)tests/lint/list.sh | xargs clang-format-14 -i
fmt-check: lint-format
# ---- what people call -------------------------------------------------------
.PHONY: help run test asan tsan fuzz cover install packages-build \
        packages-test packages-bench packages-audit packages-clients npm \
        bench crash audit r33 r50 clients rights

help:
	@sed -n 's/^## //p' Makefile

## make            build/lethe
## make run        the gateway with the Mixbot policy on 127.0.0.1:8080
run: packages-build
	@$(MAKE) --no-print-directory all
	@docs/examples/mixbot/run.sh $(BUILD)

packages-build packages-test packages-bench packages-audit packages-clients:
	@tests/install-packages.sh $(@:packages-%=%)

# Node packages that tests read: a suite of JSON documents, and TC strings as
# another implementation makes them.
npm: tests/npm/node_modules/.done
tests/npm/node_modules/.done: tests/npm/package-lock.json \
                              tests/npm/tcf_vectors.mjs | packages-test
	@cd tests/npm && ../retry.sh npm ci --silent --ignore-scripts --no-audit --no-fund
	@cd tests/npm && node json_suite.mjs json-suite
	@cd tests/npm && node tcf_vectors.mjs tcf-vectors
	@touch $@

## make test       everything that needs no more than 15 minutes in all
test: packages-test npm
	@$(MAKE) --no-print-directory all unit
	@python3 tests/run_tests.py $(BUILD) $(T)

## make asan tsan  the same tests under ASan+UBSan, or TSan
asan: packages-test npm
	@$(MAKE) --no-print-directory BUILD=build/asan SAN=address,undefined all unit
	@LETHE_PATIENCE=60 python3 tests/run_tests.py build/asan $(T)
tsan: packages-test npm
	@$(MAKE) --no-print-directory BUILD=build/tsan SAN=thread all unit
	@TSAN_OPTIONS=halt_on_error=1 \
	 LETHE_PATIENCE=90 python3 tests/run_tests.py build/tsan $(T)

## make fuzz       every fuzz target for TIME seconds (one: T=http)
TIME ?= 30
FUZZ_BIN := $(FUZZ_SRC:tests/fuzz/%.c=build/fuzz/%)
fuzz: packages-test
	@$(MAKE) --no-print-directory BUILD=build/fuzz-obj CC=clang-14 \
	 SAN=fuzzer-no-link,address,undefined fuzz-bins
	@tests/fuzz/run.sh $(TIME) $(T)
.PHONY: fuzz-bins
fuzz-bins: $(FUZZ_BIN)
build/fuzz/%: $(BUILD)/obj/tests/fuzz/%.o $(BUILD)/liblethe-gateway.a \
              $(BUILD)/liblethe-policy.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(OPT) -fsanitize=fuzzer,address,undefined -pie -pthread \
	  -o $@ $^ $(PKG_LIBS)

## make cover      lines and branches that the tests reach
cover: packages-test npm
	@$(MAKE) --no-print-directory BUILD=build/cov HARDEN=-fPIE \
	 OPT='-O0 -g --coverage -fprofile-update=atomic' all unit
	@find build/cov -name '*.gcda' -delete
	@python3 tests/run_tests.py build/cov $(T)
	@tests/cover.sh build/cov

## make bench      beside nginx, one line a figure: name value unit ratio
bench: packages-bench
	@$(MAKE) --no-print-directory all
	@python3 tests/bench/bench.py $(BUILD)

## make crash      ROUNDS of kill -9 under load
ROUNDS ?= 200
crash: packages-test
	@$(MAKE) --no-print-directory all
	@python3 tests/fault/crash.py $(BUILD) $(ROUNDS)

## make audit-speed  rows a second that `audit verify` recounts
.PHONY: audit-speed lethe-verify
audit-speed: packages-test
	@$(MAKE) --no-print-directory all
	@python3 tests/fault/verify_speed.py $(BUILD)
## make lethe-verify  the log's verifier alone, in build/
lethe-verify: $(BUILD)/lethe-verify
## make audit      attacks on the audit log, a line each (some: PART="crash")
audit: packages-audit
	@$(MAKE) --no-print-directory all fault-tools $(BUILD)/fault/check
	@ROUNDS=$(if $(filter command line,$(origin ROUNDS)),$(ROUNDS),500) \
	 python3 tests/fault/audit.py $(BUILD) $(PART)

## make audit-search  the slowest search over 10,000,000 decisions
.PHONY: audit-search
audit-search:
	@$(MAKE) --no-print-directory $(BUILD)/fault/search_bench
	@$(BUILD)/fault/search_bench

## make r33        past epochs cannot be made again
r33: packages-test
	@$(MAKE) --no-print-directory all fault-tools
	@python3 tests/fault/r33.py $(BUILD)

## make r50        can the time of an answer tell who opted out
r50: packages-test
	@$(MAKE) --no-print-directory all
	@python3 tests/fault/r50.py $(BUILD)

## make clients    real SDKs against the gateway, and a person with a browser
#                  (some: SDK="mixpanel ga4mp"; golden files anew: GOLDEN=1)
clients: packages-clients tests/clients/node_modules/.done
	@$(MAKE) --no-print-directory all
	@python3 tests/clients/clients.py $(BUILD) $(if $(GOLDEN),--golden) $(SDK)
	@python3 tests/clients/person.py $(BUILD)
tests/clients/node_modules/.done: tests/clients/package-lock.json | packages-clients
	@cd tests/clients && ../retry.sh npm ci --silent --ignore-scripts --no-audit --no-fund
	@touch $@

## make rights     R1 to R75: met by which test, open, or not applicable and why
rights:
	@tests/lint/rights.sh
	@python3 tests/lint/rights.py print

## make install    DESTDIR and PREFIX are honoured
PREFIX ?= /usr/local
AT      = $(DESTDIR)$(PREFIX)
# README's links hold in the copy: its docs/ lies beside it there too.
INSTALL_DOC = $(AT)/share/doc/lethe
install: all
	install -D -m 0755 $(BUILD)/lethe $(AT)/sbin/lethe
	install -d $(AT)/share/man/man5 $(AT)/share/man/man8 \
	  $(AT)/share/lethe/profiles $(INSTALL_DOC)/docs/examples/mixbot \
	  $(AT)/lib/systemd/system
	install -m 0644 docs/man/*.5 $(AT)/share/man/man5
	install -m 0644 docs/man/*.8 $(AT)/share/man/man8
	install -m 0644 policy/profiles/*.json $(AT)/share/lethe/profiles
	install -m 0644 README.md SECURITY.md LICENSE $(INSTALL_DOC)
	install -m 0644 docs/*.md docs/*.json $(INSTALL_DOC)/docs
	install -m 0644 docs/examples/*.service docs/examples/optout-return.js \
	  $(INSTALL_DOC)/docs/examples
	install -m 0644 docs/examples/mixbot/*.jsonl \
	  $(INSTALL_DOC)/docs/examples/mixbot
	install -m 0755 docs/examples/mixbot/*.py docs/examples/mixbot/*.sh \
	  $(INSTALL_DOC)/docs/examples/mixbot
	for unit in lethe lethe-signer; do \
	  sed 's|/usr/local/sbin|$(PREFIX)/sbin|' docs/examples/$$unit.service \
	    >$(AT)/lib/systemd/system/$$unit.service && \
	  chmod 0644 $(AT)/lib/systemd/system/$$unit.service || exit 1; \
	done

-include $(POLICY_OBJ:.o=.d) $(GATEWAY_OBJ:.o=.d) \
         $(UNIT_SRC:%.c=$(BUILD)/obj/%.d) \
         $(FAULT_SRC:%.c=$(BUILD)/obj/%.d) $(FUZZ_SRC:%.c=$(BUILD)/obj/%.d) \
         $(BUILD)/obj/tests/fuzz/replay_main.d $(BUILD)/obj/gateway/main.d
WRAP_test_spool_keys := -Wl,--wrap=fdatasync
WRAP_test_keyfile := -Wl,--wrap=geteuid
WRAP_test_journal := -Wl,--wrap=pwrite -Wl,--wrap=fdatasync
WRAP_test_audit_log := -Wl,--wrap=pwrite -Wl,--wrap=fdatasync \
                       -Wl,--wrap=posix_fallocate
WRAP_test_commit := -Wl,--wrap=fdatasync
WRAP_test_audit_prune := -Wl,--wrap=rename,--wrap=unlink,--wrap=fsync
WRAP_test_epochs := -Wl,--wrap=fstatfs,--wrap=fsync
WRAP_test_control := -Wl,--wrap=getsockopt
WRAP_test_optout_faults := -Wl,--wrap=fdatasync,--wrap=pwrite
WRAP_test_json_reader := -Wl,--wrap=memcmp
