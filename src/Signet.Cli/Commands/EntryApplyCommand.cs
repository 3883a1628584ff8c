using System.CommandLine;
using System.Text.Json.Nodes;
using Signet.Cli.Clients;
using Signet.Cli.Output;
using Signet.Hosting.Configuration;
using Signet.Hosting.Files;
using Signet.Identity.Spiffe;
using Signet.Server.Registration;
using Signet.Server.Registration.Desired;

namespace Signet.Cli.Commands;

/// <summary><c>signet entry apply|diff</c>: entries as files say.</summary>
internal static class EntryApplyCommand
{
    private const string DefaultOwner = "apply";

    public static Command Apply(CliContext context)
    {
        var options = new Options();
        var deleteMost = new Option<bool>("--delete-most") { Description = "Go on even when most of the owner's entries would be deleted" };
        var command = options.Command("apply", "Make the entries what files say; entries of others are left alone. Example: signet entry apply entries/");
        command.Options.Add(deleteMost);
        CliContext.Run(command, async (parsed, cancellationToken) =>
        {
            var applied = await options.RunAsync(context, parsed, parsed.GetValue(deleteMost) ? ApplyMode.EvenDeleteMost : ApplyMode.Carefully, cancellationToken).ConfigureAwait(false);
            if (applied.Problems.Count > 0)
            {
                throw new CliError(
                    string.Join("; ", applied.Problems),
                    applied.Changes.Count > 0 ? "nothing was changed; see what would be: signet entry diff; go on with --delete-most" : "nothing was changed; mend the files and try again");
            }

            Write(options.Answer(parsed), applied, done: true);
            return ExitCode.Done;
        });
        return command;
    }

    public static Command Diff(CliContext context)
    {
        var options = new Options();
        var command = options.Command("diff", "Show how the entries differ from what files say; exit code 1 when they do. Example: signet entry diff entries/");
        CliContext.Run(command, async (parsed, cancellationToken) =>
        {
            var applied = await options.RunAsync(context, parsed, ApplyMode.DryRun, cancellationToken).ConfigureAwait(false);
            if (applied.Problems.Count > 0)
            {
                throw new CliError(string.Join("; ", applied.Problems), "mend the files and try again");
            }

            Write(options.Answer(parsed), applied, done: false);
            return applied.Changes.Any(change => change.Step != EntryStep.Conflict) ? ExitCode.Failed : ExitCode.Done;
        });
        return command;
    }

    private static void Write(Answer answer, AppliedEntries applied, bool done) => answer.Write(
        () => new JsonObject { ["applied"] = done, ["changes"] = new JsonArray([.. applied.Changes.Select(Json)]) },
        text =>
        {
            foreach (var change in applied.Changes)
            {
                var (sign, tone) = change.Step switch
                {
                    EntryStep.Create => ("+", Tone.Good),
                    EntryStep.Delete => ("-", Tone.Bad),
                    EntryStep.Update => ("~", Tone.Strong),
                    _ => ("!", Tone.Strong),
                };
                text.Out.WriteLine(text.Ink.Of($"{sign} {change.Entry.SpiffeId}", tone) + $"  parent {change.Entry.ParentId}  {string.Join(' ', change.Entry.Selectors)}");
                if (change.Step == EntryStep.Conflict)
                {
                    text.Out.WriteLine($"    left alone: it belongs to {(change.Holder.Length > 0 ? change.Holder : "an operator, who made it by hand")}");
                }

                foreach (var one in change.Differences)
                {
                    text.Out.WriteLine($"    {one.Field}: {(one.Before.Length > 0 ? one.Before : "none")} -> {(one.After.Length > 0 ? one.After : "none")}");
                }
            }

            string Count(EntryStep step, string word) => $"{applied.Changes.Count(change => change.Step == step)} {word}";
            text.Out.WriteLine(applied.Changes.Count == 0
                ? "nothing differs"
                : string.Join(", ", [Count(EntryStep.Create, done ? "created" : "to create"), Count(EntryStep.Update, done ? "updated" : "to update"), Count(EntryStep.Delete, done ? "deleted" : "to delete"), Count(EntryStep.Conflict, "left alone")]));
        });

    private static JsonObject Json(EntryChange change) => new()
    {
        ["step"] = change.Step.ToString().ToLowerInvariant(),
        ["id"] = change.Entry.Id,
        ["spiffeId"] = change.Entry.SpiffeId.Uri,
        ["parentId"] = change.Entry.ParentId.Uri,
        ["selectors"] = new JsonArray([.. change.Entry.Selectors.Select(selector => JsonValue.Create(selector.ToString()))]),
        ["differences"] = new JsonArray([.. change.Differences.Select(one => new JsonObject { ["field"] = one.Field, ["before"] = one.Before, ["after"] = one.After })]),
        ["holder"] = change.Step == EntryStep.Conflict ? change.Holder : null,
    };

    private sealed class Options
    {
        private readonly Argument<string[]> _paths = new("path") { Description = "Files, or folders of *.yaml, *.yml and *.json; - is standard input", Arity = ArgumentArity.OneOrMore };
        private readonly Option<string> _owner = new("--owner") { Description = $"Whose entries these are: only they are changed and deleted (default: {DefaultOwner})", HelpName = "NAME" };
        private readonly Option<string> _cluster = new("--cluster") { Description = $"The Kubernetes cluster whose pods the files describe (default: {DesiredScope.DefaultCluster})", HelpName = "NAME" };
        private readonly Option<string> _server = CliContext.ServerOption();
        private readonly Option<OutputFormat> _output = Output.Answer.Option();

        public Command Command(string name, string description) => new(name, description) { _paths, _owner, _cluster, _server, _output };

        public Answer Answer(ParseResult parsed) => Output.Answer.To(parsed, _output);

        public async Task<AppliedEntries> RunAsync(CliContext context, ParseResult parsed, ApplyMode mode, CancellationToken cancellationToken)
        {
            var files = new List<(string Name, string Text)>();
            foreach (var path in parsed.GetValue(_paths)!)
            {
                if (path == "-")
                {
                    files.Add(("standard input", await Console.In.ReadToEndAsync(cancellationToken).ConfigureAwait(false)));
                    continue;
                }

                files.AddRange(FileSet.Folder(path).Read().Select(file => (file.Path, file.Text)));
            }

            using var admin = await context.AdminAsync(parsed, cancellationToken).ConfigureAwait(false);
            var trustDomain = (await admin.BundleAsync(cancellationToken).ConfigureAwait(false)).TrustDomain;
            var cluster = parsed.GetValue(_cluster) ?? DesiredScope.DefaultCluster;
            if (DesiredScope.ClusterProblem(trustDomain, cluster) is { } problem)
            {
                throw new CliError($"--cluster: {problem}", "the name is part of agents' IDs: spiffe://…/spire/agent/k8s_psat/CLUSTER/…");
            }

            var desired = DesiredEntries.Read(files, new DesiredScope(trustDomain, cluster));
            if (desired.Problems.Count > 0)
            {
                throw new ConfigException(desired.Problems);
            }

            foreach (var pod in desired.Skipped)
            {
                await parsed.InvocationConfiguration.Error.WriteLineAsync($"warning: {Printable.Of(pod)}").ConfigureAwait(false);
            }

            return await admin.ApplyAsync(parsed.GetValue(_owner) ?? DefaultOwner, desired.Entries, mode, cancellationToken).ConfigureAwait(false);
        }
    }
}
