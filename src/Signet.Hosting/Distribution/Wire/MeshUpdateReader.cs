using System.Collections.Immutable;
using System.Text;
using Signet.Identity.Spiffe;
using Signet.Rpc.Wire.Mesh;

namespace Signet.Hosting.Distribution.Wire;

/// <summary>What one message of a stream led to.</summary>
public abstract record MeshReading
{
    private MeshReading()
    {
    }

    /// <summary>More messages belong to the revision.</summary>
    public sealed record Incomplete : MeshReading;

    /// <summary>All of the revision has been read and holds.</summary>
    public sealed record Complete(MeshSnapshot Snapshot) : MeshReading;

    /// <summary>One part of it does not hold, so none of it counts; nor does what comes, until the other side begins afresh.</summary>
    public sealed record Refused(string Problem) : MeshReading;

    /// <summary>The other side says why it has nothing newer, or with an empty text that this is over; nothing else is in the message.</summary>
    public sealed record Told(string Problem) : MeshReading;
}

/// <summary>Puts together what is said on one stream. Not thread-safe.</summary>
public sealed class MeshUpdateReader
{
    private const int MaxKind = 64;
    private const int MaxNamespace = 253;

    private ImmutableDictionary<string, MeshDocument>.Builder? _documents;
    private long _bytes;

    public MeshReading Read(MeshUpdate update)
    {
        if (update.Revision == 0)
        {
            return new MeshReading.Told(Printable.Of(update.Problem));
        }

        if (update.Afresh)
        {
            (_documents, _bytes) = (ImmutableDictionary.CreateBuilder<string, MeshDocument>(StringComparer.Ordinal), 0);
        }

        if (_documents is null)
        {
            return new MeshReading.Refused("it says what differs from something that was refused or never came");
        }

        if (Problem(update, _documents) is { } problem)
        {
            _documents = null;
            return new MeshReading.Refused(problem);
        }

        return update.More ? new MeshReading.Incomplete() : new MeshReading.Complete(new MeshSnapshot(update.Revision, _documents.ToImmutable()));
    }

    private string? Problem(MeshUpdate update, ImmutableDictionary<string, MeshDocument>.Builder documents)
    {
        foreach (var wire in update.Documents)
        {
            if (wire.Name.Length is 0 or > MeshDocument.MaxName || wire.Kind.Length is 0 or > MaxKind || wire.Namespace.Length > MaxNamespace)
            {
                return $"a document is called \"{Printable.Of(wire.Name)}\" and of kind \"{Printable.Of(wire.Kind)}\" in \"{Printable.Of(wire.Namespace)}\"";
            }

            var bytes = Encoding.UTF8.GetByteCount(wire.Text);
            if (bytes > MeshDocument.MaxBytes)
            {
                return $"{Printable.Of(wire.Name)} has {bytes} bytes; the limit is {MeshDocument.MaxBytes}";
            }

            Drop(documents, wire.Name);
            documents[wire.Name] = new MeshDocument(wire.Name, wire.Kind, wire.Namespace, wire.Everywhere, wire.Text);
            _bytes += bytes;
        }

        foreach (var name in update.Removed)
        {
            Drop(documents, name);
        }

        return documents.Count > MeshSnapshot.MaxDocuments ? $"more than {MeshSnapshot.MaxDocuments} documents"
            : _bytes > MeshSnapshot.MaxTotalBytes ? $"the documents have more than {MeshSnapshot.MaxTotalBytes} bytes together"
            : null;
    }

    private void Drop(ImmutableDictionary<string, MeshDocument>.Builder documents, string name)
    {
        if (documents.Remove(name, out var gone))
        {
            _bytes -= Encoding.UTF8.GetByteCount(gone.Text);
        }
    }
}
