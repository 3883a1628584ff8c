using System.Collections.Immutable;
using System.Net;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using Signet.Hosting;
using Signet.Hosting.Files;
using Signet.Hosting.Http;
using Signet.Identity.Spiffe;
using Signet.Policy;
using Signet.Server.Attestation;

namespace Signet.Server.ControlPlane;

/// <summary>
/// Follows one kind of a cluster's objects: lists them all, then watches what happens to them, and lists again when the cluster no longer knows the version from which to watch. What was
/// known stays until there is something newer. One task; what it knows may be read by any thread.
/// </summary>
/// <param name="api">The cluster.</param>
/// <param name="kind">What is followed.</param>
/// <param name="changed">Called after something has changed.</param>
/// <param name="time">The clock.</param>
/// <param name="chance">Numbers from 0 to 1.</param>
/// <param name="log">Where it logs.</param>
internal sealed class KubernetesList(KubernetesApi api, KubernetesKind kind, Action changed, TimeProvider time, Func<double> chance, ILogger log)
{
    private const int PageSize = 250;
    private const int MaxPages = 500;
    private const int MaxObjects = 100_000;
    private const int MaxCharacters = 32 * 1024 * 1024;
    private static readonly BackoffRule Pauses = new(TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(30));

    /// <summary>How long one watch lasts: a cluster that is gone without a word is noticed after it.</summary>
    private static readonly TimeSpan WatchTime = TimeSpan.FromMinutes(2);

    private readonly Backoff _pause = new(Pauses, chance);
    private ImmutableDictionary<string, PolicyText>? _known;
    private string _problem = "";
    private string _version = "";
    private long _characters;
    private bool _again;
    private long _lists;

    public KubernetesKind Kind => kind;

    /// <summary>The objects as they are known; null before the first list.</summary>
    public ImmutableDictionary<string, PolicyText>? Known => Volatile.Read(ref _known);

    /// <summary>Why it is not followed now; empty when it is.</summary>
    public string Problem => Volatile.Read(ref _problem);

    /// <summary>How often it was listed.</summary>
    public long Lists => Volatile.Read(ref _lists);

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            try
            {
                if ((_version.Length > 0 || await ListAsync(cancellationToken).ConfigureAwait(false)) && await WatchAsync(cancellationToken).ConfigureAwait(false))
                {
                    continue;
                }
            }
            catch (Exception e) when (e is JsonApiException or PlaceException)
            {
                // A cut is taken up where it was; whoever cannot be understood, or fails again, is asked for all of it. That a version is gone is no failure.
                var status = (e as JsonApiException)?.Status;
                if (status != HttpStatusCode.Gone || _again)
                {
                    Tell(e.Message);
                }

                _version = status is null && !_again ? _version : "";
                _again = true;
            }

            await Task.Delay(_pause.Next(), time, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <returns>False when the cluster does not know the kind, which then has no objects.</returns>
    private async Task<bool> ListAsync(CancellationToken cancellationToken)
    {
        Interlocked.Increment(ref _lists);
        var found = ImmutableDictionary.CreateBuilder<string, PolicyText>(StringComparer.Ordinal);
        var (more, version, characters) = ("", "", 0L);
        for (var pages = 1; pages == 1 || more.Length > 0; pages++)
        {
            using var page = await api.ListAsync(kind.Path, PageSize, more, cancellationToken).ConfigureAwait(false);
            if (page is null)
            {
                if (pages > 1 || Known is { IsEmpty: false })
                {
                    throw Unknown();
                }

                Take(ImmutableDictionary<string, PolicyText>.Empty);
                Tell("");
                return false;
            }

            var metadata = page.RootElement.Child("metadata");
            (more, version) = (metadata.Text("continue"), metadata.Text("resourceVersion"));
            foreach (var item in page.RootElement.Child("items").Items())
            {
                if (kind.TextOf(item) is { Length: > 0 } text)
                {
                    var id = kind.IdOf(item);
                    characters += text.Length;
                    found[id] = new PolicyText(NameOf(id), text);
                }
            }

            if (found.Count > MaxObjects || characters > MaxCharacters || pages == MaxPages)
            {
                throw TooMany();
            }
        }

        if (version.Length == 0)
        {
            throw new JsonApiException($"the cluster's list of {kind.Name} has no metadata.resourceVersion");
        }

        (_version, _characters) = (version, characters);
        Take(found.ToImmutable());
        log.KubernetesListed(kind.Name, found.Count);
        return true;
    }

    /// <returns>Whether anything came, or the time was used: then it is worth going on at once.</returns>
    private async Task<bool> WatchAsync(CancellationToken cancellationToken)
    {
        var (since, came) = (time.GetTimestamp(), false);
        var isKnown = await api.WatchAsync(kind.Path, _version, WatchTime, () => Tell(""), line =>
        {
            TakeEvent(line);
            (came, _again) = (true, false);
            _pause.Reset();
        }, cancellationToken).ConfigureAwait(false);
        if (!isKnown)
        {
            throw Unknown();
        }

        if (!came && time.GetElapsedTime(since) < WatchTime / 2)
        {
            return false;
        }

        _again = false;
        _pause.Reset();
        return true;
    }

    private void TakeEvent(JsonElement line)
    {
        var (type, item) = (line.Text("type"), line.Child("object"));
        if (type == "ERROR")
        {
            var code = item.Child("code") is { ValueKind: JsonValueKind.Number } number && number.TryGetInt32(out var status) ? status : 0;
            throw new JsonApiException($"the cluster ended the watch of {kind.Name}: {code} {Printable.Of(item.Text("message"))}") { Status = (HttpStatusCode)code };
        }

        if (item.Child("metadata").Text("resourceVersion") is not { Length: > 0 } version || item.Text("kind") != kind.Name || type is not ("ADDED" or "MODIFIED" or "DELETED" or "BOOKMARK"))
        {
            throw new JsonApiException($"the watch of {kind.Name} gave {Printable.Of(type)} of {Printable.Of(item.Text("kind"))}, which cannot be understood") { Status = HttpStatusCode.UnprocessableContent };
        }

        if (type != "BOOKMARK")
        {
            var (id, text) = (kind.IdOf(item), type == "DELETED" ? "" : kind.TextOf(item));
            var known = Known!;
            _characters += text.Length - (known.TryGetValue(id, out var before) ? before.Text.Length : 0);
            Take(text.Length > 0 ? known.SetItem(id, new PolicyText(NameOf(id), text)) : known.Remove(id));
            if (Known!.Count > MaxObjects || _characters > MaxCharacters)
            {
                throw TooMany();
            }
        }

        _version = version;
    }

    private JsonApiException Unknown() => new($"the cluster does not know {kind.Name} any more") { Status = HttpStatusCode.NotFound };

    private JsonApiException TooMany() => new($"the cluster has more of {kind.Name} than {MaxObjects} objects or {MaxCharacters} characters") { Status = HttpStatusCode.RequestEntityTooLarge };

    private string NameOf(string id) => $"{kind.Name}/{id} of the cluster";

    private void Take(ImmutableDictionary<string, PolicyText> known)
    {
        Volatile.Write(ref _known, known);
        changed();
    }

    private void Tell(string problem)
    {
        if (problem == _problem)
        {
            return;
        }

        Volatile.Write(ref _problem, problem);
        if (problem.Length > 0)
        {
            log.KubernetesNotFollowed(kind.Name, problem);
        }

        changed();
    }
}
