using Signet.Rpc.Wire.Istio.Mcp;

namespace Signet.Server.ControlPlane.Mcp;

/// <summary>What is to be sent to a sink.</summary>
/// <param name="Nonce">Names it on its stream.</param>
/// <param name="IsIncremental">Whether it is a difference.</param>
/// <param name="Resources">New and changed ones, or all.</param>
/// <param name="Removed">The names of those that are gone; only in a difference.</param>
internal sealed record McpMessage(string Nonce, bool IsIncremental, IReadOnlyList<Resource> Resources, IReadOnlyList<string> Removed);

/// <summary>
/// One sink's subscription to one collection: what it holds, what it was sent and has not answered, what it refused. Decides and does nothing. One message
/// is under way at a time, so a sink that never answers is never sent more. Not thread-safe.
/// </summary>
/// <param name="isIncremental">Whether the sink takes differences.</param>
/// <param name="held">What it holds from before, as it says: versions by name.</param>
internal sealed class McpSubscription(bool isIncremental, IReadOnlyDictionary<string, string> held)
{
    /// <summary>A difference is full with so many resources …</summary>
    public const int MaxResources = 500;

    /// <summary>… or so many bytes; what crosses this line still goes into it.</summary>
    public const int MaxBytes = 1024 * 1024;

    /// <summary>The largest collection that goes whole; a sink of a larger one has to take differences.</summary>
    public const int MaxWholeBytes = 3 * 1024 * 1024;

    private Dictionary<string, string> _held = new(held, StringComparer.Ordinal);
    private McpMessage? _pending;
    private McpResources? _pendingOf;
    private McpResources? _refused;
    private bool _wasTold;

    /// <summary>Why the sink refused what it was sent last; empty when it did not.</summary>
    public string Problem { get; private set; } = "";

    /// <summary>What to send now; null when there is nothing, or an answer is waited for.</summary>
    /// <param name="now">The collection.</param>
    /// <param name="nonce">Names the message.</param>
    /// <param name="problem">Why the sink can't be served.</param>
    public McpMessage? Next(McpResources now, string nonce, out string problem)
    {
        problem = "";
        if (_pending is not null || ReferenceEquals(_refused, now))
        {
            return null;
        }

        var message = isIncremental ? Difference(now, nonce) : Whole(now, nonce, out problem);
        (_pending, _pendingOf, _wasTold) = (message, message is null ? null : now, _wasTold || message is not null);
        return message;
    }

    /// <summary>The sink answers.</summary>
    /// <param name="nonce">What it answers to; something else than the message under way is out of date and counts for nothing.</param>
    /// <param name="error">Why it refuses; null when it does not.</param>
    /// <returns>Whether the answer counts.</returns>
    public bool Answer(string nonce, string? error)
    {
        if (_pending?.Nonce != nonce)
        {
            return false;
        }

        var (message, of) = (_pending, _pendingOf);
        (_pending, _pendingOf) = (null, null);
        Problem = error ?? "";
        if (error is not null)
        {
            // The same again would only be refused again.
            _refused = of;
            return true;
        }

        _refused = null;
        if (!message.IsIncremental)
        {
            _held.Clear();
        }

        foreach (var resource in message.Resources)
        {
            _held[resource.Metadata.Name] = resource.Metadata.Version;
        }

        foreach (var name in message.Removed)
        {
            _held.Remove(name);
        }

        return true;
    }

    private McpMessage? Difference(McpResources now, string nonce)
    {
        var (resources, removed, bytes) = (new List<Resource>(), new List<string>(), 0);
        foreach (var (name, resource) in now.ByName.Where(pair => _held.GetValueOrDefault(pair.Key) != pair.Value.Metadata.Version))
        {
            if (resources.Count >= MaxResources || bytes >= MaxBytes)
            {
                break;
            }

            resources.Add(resource);
            bytes += resource.CalculateSize() + name.Length;
        }

        removed.AddRange(_held.Keys.Where(name => !now.ByName.ContainsKey(name)).Take(MaxResources - Math.Min(resources.Count, MaxResources)));
        return resources.Count + removed.Count > 0 || !_wasTold ? new McpMessage(nonce, IsIncremental: true, resources, removed) : null;
    }

    private McpMessage? Whole(McpResources now, string nonce, out string problem)
    {
        problem = "";
        if (_wasTold && now.ByName.Count == _held.Count && now.ByName.All(pair => _held.GetValueOrDefault(pair.Key) == pair.Value.Metadata.Version))
        {
            return null;
        }

        if (now.ByName.Values.Sum(resource => (long)resource.CalculateSize()) > MaxWholeBytes)
        {
            problem = $"the collection is larger than {MaxWholeBytes} bytes; ask for it incrementally";
            return null;
        }

        return new McpMessage(nonce, IsIncremental: false, [.. now.ByName.Values], []);
    }
}
