namespace Signet.Proxy.Tls;

/// <summary>The answer to "who is this, and may it be the other end": a peer, or a reason.</summary>
internal readonly record struct Judgement(Peer? Peer, RefusalReason Reason, string Detail);
