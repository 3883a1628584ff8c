using System.CommandLine;
using System.Text.Json.Nodes;
using Signet.Cli.Output;
using Signet.Client;

namespace Signet.Cli.Commands;

/// <summary><c>signet watch</c>: what changes about this process's identity, as it happens.</summary>
internal static class WatchCommand
{
    /// <summary>How often somebody who waits for an identity is told why.</summary>
    private static readonly TimeSpan Look = TimeSpan.FromSeconds(1);

    public static Command Create(CliContext context)
    {
        var count = new Option<int?>("--count") { Description = "End after so many changes, the first state included (default: when interrupted)", HelpName = "N" };
        count.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<int?>() is <= 0)
            {
                result.AddError("--count: a number from 1 on was expected");
            }
        });
        var (socket, output) = (CliContext.SocketOption(), Answer.Option());
        var command = new Command("watch", "Show this process's X.509-SVIDs and whom it trusts, and then each change, a line each; with --output json a JSON object each. Example: signet watch") { count, socket, output };
        CliContext.Run(command, async (parsed, cancellationToken) =>
        {
            var answer = Answer.To(parsed, output);
            await using var source = new X509Source(CliContext.AgentAddress(parsed.GetValue(socket)), context.Time);
            using var changed = new SemaphoreSlim(0);
            using var registration = source.OnChange(() => changed.Release());
            var left = parsed.GetValue(count) ?? int.MaxValue;
            X509Context? before = null;
            try
            {
                await WaitAsync(source, parsed.InvocationConfiguration.Error, context.Time, cancellationToken).ConfigureAwait(false);
                while (true)
                {
                    var now = source.Current;
                    foreach (var change in IdentityChange.Between(before, now, source.Problem))
                    {
                        Write(answer, change, context.Time.GetUtcNow());
                        if (--left == 0)
                        {
                            return ExitCode.Done;
                        }
                    }

                    before = now;
                    await changed.WaitAsync(cancellationToken).ConfigureAwait(false);
                }
            }
            catch (OperationCanceledException)
            {
                return ExitCode.Done;
            }
        });
        return command;
    }

    /// <summary>Until there is an identity. Why there is none goes to people, not among the changes, once for each reason.</summary>
    private static async Task WaitAsync(X509Source source, TextWriter error, TimeProvider time, CancellationToken cancellationToken)
    {
        var first = source.WaitAsync(cancellationToken);
        string? said = null;
        while (await Task.WhenAny(first, Task.Delay(Look, time, cancellationToken)).ConfigureAwait(false) != first)
        {
            if (source.Problem is { } problem && problem != said)
            {
                said = problem;
                error.WriteLine($"waiting: {problem}");
            }

            cancellationToken.ThrowIfCancellationRequested();
        }

        await first.ConfigureAwait(false);
    }

    private static void Write(Answer answer, IdentityChange change, DateTimeOffset now)
    {
        if (answer.Format == OutputFormat.Json)
        {
            // One line, so that a script reads a change when it happens.
            answer.Out.WriteLine(new JsonObject
            {
                ["at"] = HumanTime.Stamp(now),
                ["change"] = change.What,
                ["subject"] = change.Subject,
                ["serial"] = change.Serial,
                ["notAfter"] = change.NotAfter is { } end ? HumanTime.Stamp(end) : null,
                ["detail"] = change.Detail,
            }.ToJsonString());
        }
        else
        {
            var until = change.NotAfter is { } end ? $"  until {HumanTime.Both(end, now)}" : "";
            var serial = change.Serial is null ? "" : $"  serial {change.Serial}";
            answer.Out.WriteLine($"{HumanTime.Stamp(now)}  {answer.Ink.Of($"{change.What,-20}", change.Tone)} {change.Subject}{serial}{until}{(change.Detail is null ? "" : $"  {change.Detail}")}");
        }

        answer.Out.Flush();
    }
}

/// <summary>One thing that differs between two moments of an identity. Immutable.</summary>
/// <param name="What">As <c>svid-renewed</c>.</param>
/// <param name="Subject">A SPIFFE ID, or a trust domain.</param>
/// <param name="Tone">How it is shown.</param>
internal sealed record IdentityChange(string What, string Subject, Tone Tone)
{
    public string? Serial { get; init; }

    public DateTimeOffset? NotAfter { get; init; }

    public string? Detail { get; init; }

    /// <summary>In the order in which a reader wants to know. Pure.</summary>
    /// <param name="before">Null when there was none.</param>
    /// <param name="now">Null when there is none.</param>
    /// <param name="problem">Why there is none.</param>
    public static IEnumerable<IdentityChange> Between(X509Context? before, X509Context? now, string? problem)
    {
        if (now is null)
        {
            return before is null ? [] : [new IdentityChange("identity-withdrawn", before.Default.Id.Uri, Tone.Bad) { Detail = problem }];
        }

        return [.. Svids(before, now), .. Bundles(before, now), .. Lists(before, now)];
    }

    private static IEnumerable<IdentityChange> Svids(X509Context? before, X509Context now)
    {
        foreach (var svid in now.Svids)
        {
            var old = before?.Svids.FirstOrDefault(one => one.Id == svid.Id && one.Hint == svid.Hint);
            if (old?.Leaf.Fingerprint != svid.Leaf.Fingerprint)
            {
                yield return new IdentityChange(old is null ? "svid-added" : "svid-renewed", svid.Id.Uri, Tone.Good) { Serial = svid.Leaf.SerialHex, NotAfter = svid.NotAfter, Detail = svid.Hint is { } hint ? $"hint {hint}" : null };
            }
        }

        foreach (var gone in before?.Svids.Where(one => now.Svids.All(svid => svid.Id != one.Id || svid.Hint != one.Hint)) ?? [])
        {
            yield return new IdentityChange("svid-removed", gone.Id.Uri, Tone.Warning) { Serial = gone.Leaf.SerialHex };
        }
    }

    private static IEnumerable<IdentityChange> Bundles(X509Context? before, X509Context now)
    {
        foreach (var bundle in now.Bundles.All.OrderBy(bundle => bundle.TrustDomain.Name, StringComparer.Ordinal))
        {
            var old = before?.Bundles.Find(bundle.TrustDomain)?.Authorities ?? [];
            foreach (var added in bundle.Authorities.Where(authority => old.All(one => one.Fingerprint != authority.Fingerprint)))
            {
                yield return new IdentityChange("authority-added", bundle.TrustDomain.Name, Tone.Good) { Serial = added.SerialHex, NotAfter = added.NotAfter };
            }

            foreach (var gone in old.Where(authority => bundle.Authorities.All(one => one.Fingerprint != authority.Fingerprint)))
            {
                yield return new IdentityChange("authority-removed", bundle.TrustDomain.Name, Tone.Warning) { Serial = gone.SerialHex };
            }
        }

        foreach (var gone in before?.Bundles.All.Where(bundle => now.Bundles.Find(bundle.TrustDomain) is null) ?? [])
        {
            yield return new IdentityChange("bundle-removed", gone.TrustDomain.Name, Tone.Warning);
        }
    }

    private static IEnumerable<IdentityChange> Lists(X509Context? before, X509Context now) => now.Bundles.Crls
        .Where(list => before?.Bundles.Crls.Any(old => old.Der.Span.SequenceEqual(list.Der.Span)) != true)
        .Select(list => new IdentityChange("revocation-list", now.Default.Id.TrustDomain.Name, Tone.Warning) { Detail = $"{list.Count} revoked by {list.IssuerName}" });
}
