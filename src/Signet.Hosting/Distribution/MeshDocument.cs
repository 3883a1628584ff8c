using System.Collections.Immutable;
using System.Text;

namespace Signet.Hosting.Distribution;

/// <summary>One object of the mesh's configuration, as it travels to proxies. Immutable.</summary>
/// <param name="Name">As <c>AuthorizationPolicy/shop/no-web</c>.</param>
/// <param name="Kind">What it is; <see cref="MeshKinds"/> names those that are no objects of Istio's.</param>
/// <param name="Namespace">Where it belongs; empty for the mesh itself.</param>
/// <param name="Everywhere">Whether it concerns workloads of every namespace.</param>
/// <param name="Text">The object as JSON.</param>
public sealed record MeshDocument(string Name, string Kind, string Namespace, bool Everywhere, string Text)
{
    /// <summary>The longest text, in UTF-8 bytes.</summary>
    public const int MaxBytes = 512 * 1024;

    /// <summary>The longest name, in characters.</summary>
    public const int MaxName = 640;

    /// <summary>The name of an object.</summary>
    public static string NameOf(string kind, string ns, string name) => $"{kind}/{ns}/{name}";

    /// <summary>What it takes of a message, nearly.</summary>
    internal int Size => Name.Length + Kind.Length + Namespace.Length + Encoding.UTF8.GetByteCount(Text);
}

/// <summary>Kinds of documents that are made here.</summary>
public static class MeshKinds
{
    /// <summary>Fields of Istio's MeshConfig; one, of the mesh itself.</summary>
    public const string Settings = "MeshConfig";

    /// <summary>Where the proxies of a service listen: <see cref="ServiceEndpoints"/>.</summary>
    public const string Endpoints = "Endpoints";
}

/// <summary>All documents of one moment. Immutable; a change makes a new one with a higher revision.</summary>
/// <param name="Revision">Grows with each change, also across restarts of the server.</param>
/// <param name="Documents">By name.</param>
public sealed record MeshSnapshot(ulong Revision, ImmutableDictionary<string, MeshDocument> Documents)
{
    /// <summary>The most documents.</summary>
    public const int MaxDocuments = 100_000;

    /// <summary>The most bytes of all texts together.</summary>
    public const long MaxTotalBytes = 64 * 1024 * 1024;

    /// <summary>What concerns workloads of these namespaces.</summary>
    public MeshSnapshot For(IReadOnlySet<string> namespaces) =>
        this with { Documents = Documents.RemoveRange(Documents.Values.Where(one => !one.Everywhere && !namespaces.Contains(one.Namespace)).Select(one => one.Name)) };

    /// <summary>Why so many documents are too many; null when they are not.</summary>
    public static string? ProblemOf(IReadOnlyCollection<MeshDocument> documents) =>
        documents.Count > MaxDocuments ? $"there are {documents.Count} documents; the limit is {MaxDocuments}"
        : documents.FirstOrDefault(one => one.Size > MaxBytesWithName) is { } large ? $"{large.Name} is larger than {MeshDocument.MaxBytes} bytes"
        : documents.Sum(one => (long)one.Size) > MaxTotalBytes ? $"the documents have more than {MaxTotalBytes} bytes together"
        : null;

    private const int MaxBytesWithName = MeshDocument.MaxBytes + (2 * MeshDocument.MaxName);
}

/// <summary>What a source of configuration has at one moment.</summary>
/// <param name="Snapshot">The last good one; null before the first.</param>
/// <param name="Problem">Why there is none, or no newer one; empty when all is well.</param>
public sealed record MeshOffer(MeshSnapshot? Snapshot, string Problem);
