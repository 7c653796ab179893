# The two commands that matter are `make run` and `make test`. Servers that DATABASE_URL and REDIS_URL name are used;
# without them private ones are started on unix sockets, and stopped again.

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: run test lint fmt bench dist load clean help packages test-packages

# Where cargo puts what it builds, whoever decides that: CARGO_TARGET_DIR, a configuration file or nobody.
target = $$(cargo metadata --format-version 1 --no-deps --locked | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')

run: packages ## install what is missing, build, and serve on 127.0.0.1:8000 until Ctrl-C
	@echo "building (a few minutes the first time) …"
	@cargo build --release --locked
	@exec "$(target)/release/callboard" dev

test: test-packages lint ## install what is missing, then format check, lints and every test
	@echo "building the tests (a few minutes the first time) …"
	@cargo nextest run --workspace --locked --no-run
	@echo "running the tests against throw-away servers …"
	@exec "$(target)/debug/callboard" dev --ephemeral -- cargo nextest run --workspace --locked

lint: ## format check, clippy, container files, shell scripts, Python
	@echo "checking the format …"
	@cargo fmt --all --check
	@cargo fmt --manifest-path loadtest/Cargo.toml --check
	@echo "clippy (a minute or two the first time) …"
	@cargo clippy --workspace --all-targets --locked -- -D warnings
	@CARGO_TARGET_DIR="$(target)/loadtest" \
		cargo clippy --locked --manifest-path loadtest/Cargo.toml --all-targets -- -D warnings
	@echo "checking the container files …"
	@ops/lint-containers.sh
	@if command -v shellcheck >/dev/null; then \
		echo "checking the shell scripts …"; \
		find . \( -name target -o -name .git -o -name .callboard \) -prune -o \( -name '*.sh' -o -path './.ci/run' \) -type f \
			-exec shellcheck {} +; \
	else \
		echo "SKIPPED: shell scripts: shellcheck is not installed"; \
	fi
	@if command -v python3 >/dev/null; then \
		echo "checking that the load test's Python can be read …"; \
		find loadtest -name '*.py' -exec python3 -c \
			'import ast, sys; [ast.parse(open(path, "rb").read(), path) for path in sys.argv[1:]]' {} +; \
	else \
		echo "SKIPPED: Python: python3 is not installed"; \
	fi

fmt: ## format the code
	@cargo fmt --all
	@cargo fmt --manifest-path loadtest/Cargo.toml

bench: packages ## measure spans, log lines, asks, encoding and what requests allocate (see benches/README.md)
	@cargo build --release --locked
	@exec "$(target)/release/callboard" dev --ephemeral -- cargo bench --locked --benches

# Named by what is in it, since cargo looks at the flags and not at the file. `loadtest/profile.sh` writes it. Of functions that
# have changed since, the compiler would tell one by one.
profile = $(target)/profile-$$(cksum < profile/callboard.profdata.gz | cut -d' ' -f1).profdata

dist: ## build what ships: linked as a whole, and optimised for what it does under load (some ten minutes)
	@mkdir -p "$(target)"
	@# Not written again: all that was built by it would be built anew, since cargo goes by the file's age.
	@[ -f "$(profile)" ] || { gzip --decompress --stdout profile/callboard.profdata.gz > "$(profile).new" && mv "$(profile).new" "$(profile)"; }
	@RUSTFLAGS="$$RUSTFLAGS -C profile-use=$(profile) -C llvm-args=-no-pgo-warn-mismatch" cargo build --profile dist --locked --bin callboard

load: ## measure what requests cost, beside a bare server, with servers of its own (see loadtest/README.md)
	@exec loadtest/run.sh

clean: ## remove what was built; the data in .callboard stays
	@cargo clean

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | while IFS='	' read -r name text; do printf '  make %-6s %s\n' "$$name" "$$text"; done

packages:
	@ops/install-packages.sh

test-packages:
	@ops/install-packages.sh --test
