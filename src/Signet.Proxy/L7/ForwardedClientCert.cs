using System.Text;
using Signet.Identity.Spiffe;
using Signet.Proxy.Tls;

namespace Signet.Proxy.L7;

/// <summary>
/// The value of <c>x-forwarded-client-cert</c> as Envoy writes it: <c>By=…;Hash=…;Subject="…";URI=…</c>, one element, since what came in
/// was dropped. Pure.
/// </summary>
internal static class ForwardedClientCert
{
    /// <param name="self">This proxy's own ID.</param>
    /// <param name="peer">The workload that the handshake proved to be there.</param>
    public static string Of(SpiffeId self, Peer peer) =>
        $"By={self.Uri};Hash={peer.Leaf.Fingerprint};Subject=\"{Quoted(peer.Leaf.Subject)}\";URI={peer.Id!.Uri}";

    /// <summary>A quoted value: quotes are escaped, and what is not printable ASCII leaves as the hex pairs of RFC 4514 §2.4.</summary>
    private static string Quoted(string subject)
    {
        var quoted = new StringBuilder(subject.Length + 8);
        Span<byte> bytes = stackalloc byte[4];
        foreach (var rune in subject.EnumerateRunes())
        {
            if (rune.Value is >= 0x20 and <= 0x7e)
            {
                quoted.Append(rune.Value == '"' ? "\\\"" : rune.ToString());
                continue;
            }

            foreach (var value in bytes[..rune.EncodeToUtf8(bytes)])
            {
                quoted.Append('\\').Append(Convert.ToHexStringLower([value]));
            }
        }

        return quoted.ToString();
    }
}
