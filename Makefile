# The two commands: `make run` shows what it does, `make test` proves it.

CARGO ?= cargo
WASM_TARGET := wasm32-unknown-unknown

.PHONY: help run test lint bench soak deps target

help: ## List the targets.
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

target:
	@rustup target add $(WASM_TARGET)

run: target ## Build everything, start a server with a sample federation, take the tour, keep serving.
	$(CARGO) run --locked -p pilothouse-cli -- demo

test: target ## Pass all tests.
	$(CARGO) build --locked --workspace --all-targets
	PILOTHOUSE_BIN="$(CURDIR)/target/debug/pilothouse" $(CARGO) test --locked --workspace
	@# A feature of its own, so that nothing above was built with the bugs in it.
	$(CARGO) test --locked -p pilothouse-simulation --features seeded-bugs every_known_bug

lint: target ## Format, clippy, documentation; warnings are errors. Rules on dependencies and files are tests (tests/tidy).
	@rustup component add rustfmt clippy
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	@# Module headers speak to maintainers and may point to private items.
	RUSTDOCFLAGS="-D warnings -A rustdoc::private_intra_doc_links" $(CARGO) doc --locked --workspace --no-deps --lib

bench: target ## Measure in one run: policies, the whole server, what people embed today, the store. Writes host/docs/bench.md.
	cd tests/bench && $(CARGO) run --release > ../../host/docs/bench.md
	$(CARGO) bench --locked -p pilothouse-store --bench commit

soak: target ## The long variants of the tests: more swaps, reloads and kills. Prints figures.
	$(CARGO) build --locked --workspace --all-targets
	PILOTHOUSE_SOAK=1 PILOTHOUSE_BIN="$(CURDIR)/target/debug/pilothouse" $(CARGO) test --locked -p pilothouse-tests -- --nocapture
	SIMULATION_SEEDS=250000 $(CARGO) test --locked -p pilothouse-simulation -- --nocapture

deps: ## Install what tests use if it is there (curl, Node's ws, minisign, an OCI registry); the product needs none of it.
	@command -v curl >/dev/null || (apt-get update -qq && apt-get install -y -qq curl)
	@command -v docker-registry >/dev/null && command -v minisign >/dev/null || (apt-get update -qq && apt-get install -y -qq docker-registry minisign)
	@command -v npm >/dev/null || (apt-get update -qq && apt-get install -y -qq nodejs npm)
	@cd tests/node-client && npm ci --silent
