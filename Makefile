# The doors of the project. `make demo` and `make test` are all a newcomer needs.
CONFIGURATION ?= Release
SIGNET := src/Signet.Cli/bin/$(CONFIGURATION)/net10.0/signet

.PHONY: build test soak demo bench pack format clean

build:
	dotnet build Signet.slnx -c $(CONFIGURATION) -v quiet -nologo

demo:
	@eng/require-sdk
	@dotnet build src/Signet.Cli -c $(CONFIGURATION) -v quiet -nologo
	@$(SIGNET) demo $(DEMO)

test:
	@eng/require-sdk
	@eng/install-peers
	@eng/run-tests $(CONFIGURATION)

# An hour of load, rotations, hot restarts and outages, and whatever else takes long; SOAK=5m shortens the hour.
soak:
	@eng/require-sdk
	@eng/install-peers
	@eng/run-soak $(CONFIGURATION)

bench:
	@eng/require-sdk
	@eng/install-peers bench/apt-packages.txt
	@dotnet build bench/Signet.Benchmarks -c Release -v quiet -nologo
	@bench/Signet.Benchmarks/bin/Release/net10.0/Signet.Benchmarks $(BENCH)

pack:
	@eng/require-sdk
	@eng/pack

format:
	dotnet format Signet.slnx

clean:
	git clean -Xdfq
