using System.Security.Cryptography;
using Google.Protobuf;
using Signet.Agent.Identities;
using Signet.Hosting.Distribution;
using Signet.Hosting.Distribution.Wire;
using Signet.Rpc.Wire.Mesh;

namespace Signet.Agent.Mesh;

/// <summary>Keeps the last snapshot over a restart of the agent: the messages that say all of it, after their digest. Called from one task.</summary>
/// <param name="load">What was saved last; null when nothing was.</param>
/// <param name="save">Saves in place of the last.</param>
internal sealed class MeshMemory(Func<byte[]?> load, Action<byte[]> save)
{
    private const string Kind = "mesh";

    /// <summary>Sealed, beside the identities of the node.</summary>
    /// <param name="folder">Where; null keeps nothing.</param>
    public static MeshMemory In(SealedFolder? folder) => new(() => folder?.Load(Kind) is SealedContent.Opened opened ? opened.Content : null, bytes => folder?.Save(Kind, bytes));

    /// <summary>What was kept last.</summary>
    /// <param name="problem">Why there is nothing, when that is no wonder: empty.</param>
    public MeshSnapshot? Recall(out string problem)
    {
        problem = "";
        try
        {
            return load() is { } bytes ? Read(bytes, out problem) : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            problem = e.Message;
            return null;
        }
    }

    /// <exception cref="IOException">It cannot be kept; what was kept before still is.</exception>
    public void Keep(MeshSnapshot snapshot)
    {
        using var messages = new MemoryStream();
        foreach (var update in MeshUpdates.Between(null, snapshot))
        {
            update.WriteDelimitedTo(messages);
        }

        save([.. SHA256.HashData(messages.GetBuffer().AsSpan(0, (int)messages.Length)), .. messages.GetBuffer().AsSpan(0, (int)messages.Length)]);
    }

    private static MeshSnapshot? Read(byte[] bytes, out string problem)
    {
        problem = "it does not read as what was kept";
        if (bytes.Length < SHA256.HashSizeInBytes || !SHA256.HashData(bytes.AsSpan(SHA256.HashSizeInBytes)).AsSpan().SequenceEqual(bytes.AsSpan(0, SHA256.HashSizeInBytes)))
        {
            return null;
        }

        using var messages = new MemoryStream(bytes, SHA256.HashSizeInBytes, bytes.Length - SHA256.HashSizeInBytes);
        var reader = new MeshUpdateReader();
        MeshReading? last = null;
        try
        {
            while (messages.Position < messages.Length)
            {
                last = reader.Read(MeshUpdate.Parser.ParseDelimitedFrom(messages));
            }
        }
        catch (InvalidProtocolBufferException)
        {
            return null;
        }

        problem = last is MeshReading.Complete ? "" : problem;
        return (last as MeshReading.Complete)?.Snapshot;
    }
}
