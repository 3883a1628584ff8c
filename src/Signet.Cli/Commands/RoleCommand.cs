using System.CommandLine;
using Microsoft.Extensions.Logging;
using Signet.Agent;
using Signet.Cli.Commands.Proxy;
using Signet.Cli.Output;
using Signet.Helper;
using Signet.Hosting;
using Signet.Hosting.Admin;
using Signet.Hosting.Configuration;
using Signet.Hosting.Daemons;
using Signet.Hosting.Logging;
using Signet.Proxy;
using Signet.Proxy.Config;
using Signet.Server;

namespace Signet.Cli.Commands;

/// <summary>A role as Main starts it.</summary>
internal sealed record BuiltRole(IReadOnlyList<IDaemonPart> Parts, ReadinessBoard Readiness, IAsyncDisposable Owner)
{
    public Func<Daemon, Daemon> Setup { get; init; } = daemon => daemon;
}

/// <summary><c>signet server|agent|proxy|helper run|check-config</c>.</summary>
internal static class RoleCommand
{
    public static Command Server(CliContext context) => Create(
        "server",
        "Sign identities and decide who gets which",
        ServerConfig.Read,
        async (config, logs, _, cancellationToken) =>
        {
            var host = await ServerHost.BuildAsync(config, context.Time, context.Chance, logs, cancellationToken).ConfigureAwait(false);
            return new BuiltRole(host.Parts, host.Readiness, host);
        },
        context,
        ServerConfig.ReadLog,
        config => config.Warnings);

    public static Command Agent(CliContext context)
    {
        var command = Create(
            "agent",
            "Give the workloads of this node their identity; see and end agents on the server",
            AgentConfig.Read,
            (config, logs, _, _) =>
            {
                var host = AgentHost.Build(config, context.Time, context.Chance, logs);
                return Task.FromResult(new BuiltRole(host.Parts, host.Readiness, host));
            },
            context);
        foreach (var verb in AgentVerbs.Create(context))
        {
            command.Subcommands.Add(verb);
        }

        return command;
    }

    public static Command Proxy(CliContext context)
    {
        var command = Create(
            "proxy",
            "Move a workload's traffic, mutual TLS on the network side",
            (root, _) => ProxyConfig.Read(root),
            (config, logs, _, _) =>
            {
                var host = ProxyHost.Build(config, context.Time, logs, chance: context.Chance);
                return Task.FromResult(new BuiltRole([host], host.Readiness, host)
                {
                    Setup = daemon => daemon with { DrainTimeout = config.Timeouts.Drain, Succeeded = host.Succeeded },
                });
            },
            context);
        Command[] verbs =
        [
            ProxyPages.Certs(context), ProxyPages.Config(), ProxyPages.Connections(), ProxyPages.Listeners(), ProxyPages.Upstreams(), ProxyPages.Stats(),
            ProxyActions.Ready(), ProxyActions.Drain(), ProxyActions.Logging(), ProxyMetrics.Create(), ProxyWatch.Create(),
        ];
        foreach (var verb in verbs)
        {
            command.Subcommands.Add(verb);
        }

        return command;
    }

    public static Command Helper(CliContext context)
    {
        var once = new Option<bool>("--once") { Description = "Write the files and tell of the change once, then end; fails when that takes longer than 30s" };
        var command = Create(
            "helper",
            "Write this process's identity into files, for programs that read those",
            HelperConfig.Read,
            (config, logs, parsed, _) =>
            {
                var host = HelperHost.Build(config, parsed.GetValue(once), context.Time, context.Chance, logs);
                return Task.FromResult(new BuiltRole(host.Parts, host.Readiness, host) { Setup = daemon => daemon with { Succeeded = host.Done } });
            },
            context);
        command.Subcommands[0].Options.Add(once);
        return command;
    }

    /// <summary>A role's file: the part that can change while it runs, and the rest.</summary>
    private sealed record Settings<TConfig>(TConfig Role, LogConfig Log);

    private static Command Create<TConfig>(
        string role,
        string description,
        Func<ConfigSection, Places, TConfig> read,
        Func<TConfig, ILoggerFactory, ParseResult, CancellationToken, Task<BuiltRole>> build,
        CliContext context,
        Func<ConfigSection, LogConfig>? readLog = null,
        Func<TConfig, IReadOnlyList<ConfigProblem>>? warnings = null)
    {
        var config = new Option<string>("--config", "-c") { Description = $"YAML or JSON{(readLog is null ? "" : ", or SPIRE's server.conf")}", HelpName = "FILE", Required = true };
        var home = CliContext.HomeOption();
        var run = new Command("run", $"Run the {role} until it is told to stop. Example: signet {role} run --config {role}.yaml") { config, home };
        CliContext.Run(run, async (parsed, cancellationToken) =>
        {
            var settings = Read(parsed);
            await using var output = new LogOutput(Console.OpenStandardError(), settings.Log, context.Time);
            var log = output.CreateLogger("Signet.Cli");
            await using var file = Reloadable<Settings<TConfig>>.Start(
                parsed.GetRequiredValue(config),
                ConfigFile.ProcessEnvironment(),
                root => ReadSettings(root, CliContext.PlacesOf(parsed.GetValue(home))),
                changed =>
                {
                    output.Config = changed.Log;
                    log.OnlyLogReloaded();
                },
                context.Time,
                log);
            using var termination = Termination.OnSignals();
            var built = await build(settings.Role, output, parsed, cancellationToken).ConfigureAwait(false);
            await using (built.Owner.ConfigureAwait(false))
            {
                var services = new ServiceManager(ConfigFile.ProcessEnvironment(), Environment.ProcessId);
                return await DaemonHost.RunAsync(built.Setup(new Daemon(role, built.Readiness, services, context.Time, output)), built.Parts, termination).ConfigureAwait(false);
            }
        });

        var check = new Command("check-config", $"Say what is wrong with a configuration, if anything. Example: signet {role} check-config --config {role}.yaml") { config, home };
        CliContext.Run(check, (parsed, _) =>
        {
            var settings = Read(parsed);
            foreach (var warning in warnings?.Invoke(settings.Role) ?? [])
            {
                parsed.InvocationConfiguration.Error.WriteLine($"warning: {Hosting.OneLine.Of(warning.ToString())}");
            }

            parsed.InvocationConfiguration.Output.WriteLine($"{parsed.GetValue(config)}: ok");
            return Task.FromResult(ExitCode.Done);
        });
        return new Command(role, description) { run, check };

        Settings<TConfig> Read(ParseResult parsed)
        {
            var places = CliContext.PlacesOf(parsed.GetValue(home));
            return ConfigFile.Read(parsed.GetRequiredValue(config), ConfigFile.ProcessEnvironment(), root => ReadSettings(root, places));
        }

        Settings<TConfig> ReadSettings(ConfigSection root, Places places) => new(read(root, places), readLog?.Invoke(root) ?? LogConfig.Read(root.Section("log")));
    }
}
