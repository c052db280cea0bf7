# Lethe: `make help` lists the targets. BUILD separates flavours, so that
# changing one never cleans another: build (release), build/asan, build/tsan.
BUILD   ?= build
CC      ?= cc
PKGS    := libevent libevent_pthreads libevent_openssl libsodium libcjson \
           libcurl sqlite3 zlib openssl
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
GATEWAY_SRC := $(filter-out gateway/main.c,$(wildcard gateway/*.c gateway/*/*.c))
POLICY_OBJ  := $(POLICY_SRC:%.c=$(BUILD)/obj/%.o)
GATEWAY_OBJ := $(GATEWAY_SRC:%.c=$(BUILD)/obj/%.o)
UNIT_SRC    := $(wildcard tests/unit/test_*.c)
UNIT_BIN    := $(UNIT_SRC:tests/unit/%.c=$(BUILD)/unit/%)

.DEFAULT_GOAL := all
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

.PHONY: unit check-unit
unit: $(UNIT_BIN)
# One module: make check-unit T=json_reader
check-unit: $(BUILD)/unit/test_$(T)
	$(Q)$<

-include $(POLICY_OBJ:.o=.d) $(GATEWAY_OBJ:.o=.d) \
         $(UNIT_SRC:%.c=$(BUILD)/obj/%.d) $(BUILD)/obj/gateway/main.d
WRAP_test_spool_keys := -Wl,--wrap=fdatasync
WRAP_test_keyfile := -Wl,--wrap=geteuid
WRAP_test_journal := -Wl,--wrap=pwrite -Wl,--wrap=fdatasync
WRAP_test_audit_log := -Wl,--wrap=pwrite -Wl,--wrap=fdatasync \
                       -Wl,--wrap=posix_fallocate
WRAP_test_commit := -Wl,--wrap=fdatasync
WRAP_test_epochs := -Wl,--wrap=fstatfs,--wrap=fsync
WRAP_test_control := -Wl,--wrap=getsockopt
WRAP_test_optout_faults := -Wl,--wrap=fdatasync,--wrap=pwrite
