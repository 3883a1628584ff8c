using System.Net;
using Signet.Identity.Spiffe;

namespace Signet.Server.Access;

/// <summary>Who is calling, as the connection proved it, and what was granted to that caller.</summary>
public abstract record Caller(Rights Rights)
{
    /// <summary>How the caller appears in logs.</summary>
    public abstract string Name { get; }

    /// <summary>A process on this machine that opened the admin socket.</summary>
    public sealed record Local(uint Uid, int Pid, Rights Rights) : Caller(Rights)
    {
        public override string Name => $"uid {Uid} (pid {Pid})";
    }

    /// <summary>A node that showed a certificate of an agent which is attested and not banned.</summary>
    public sealed record Agent(SpiffeId Id, DateTimeOffset ExpiresAt) : Caller(Rights.None)
    {
        public override string Name => Id.Uri;
    }

    /// <summary>A workload that showed its SVID: an operator, or a server below this one.</summary>
    /// <param name="Id">Its ID.</param>
    /// <param name="Rights">What it was granted.</param>
    /// <param name="DownstreamEntry">The entry that lets it have an authority; null for none.</param>
    public sealed record Workload(SpiffeId Id, Rights Rights, string? DownstreamEntry) : Caller(Rights)
    {
        public override string Name => Id.Uri;
    }

    /// <summary>Somebody on the network who proved nothing, or whose proof no longer counts.</summary>
    /// <param name="Address">From where.</param>
    /// <param name="Claimed">Which ID the certificate names that does not count; null for none.</param>
    public sealed record Anonymous(IPAddress? Address, SpiffeId? Claimed = null) : Caller(Rights.None)
    {
        public override string Name => Claimed is null ? $"unauthenticated {Address}" : $"{Claimed.Uri} from {Address}, not accepted";
    }
}
