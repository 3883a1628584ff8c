using Google.Protobuf;
using Signet.Identity.X509.Revocation;

namespace Signet.Rpc.Wire;

/// <summary>Revocation lists as they travel beside a bundle: one DER each.</summary>
public static class RevocationListsWire
{
    /// <summary>How many lists come with one message.</summary>
    public const int MaxLists = 64;

    public static bool TryRead(IReadOnlyCollection<ByteString> wire, out IReadOnlyList<CertificateRevocationList> lists, out string problem)
    {
        var read = new List<CertificateRevocationList>(wire.Count);
        lists = read;
        problem = wire.Count > MaxLists ? $"{wire.Count} revocation lists; the limit is {MaxLists}" : "";
        foreach (var der in wire.Take(MaxLists))
        {
            if (!CertificateRevocationList.TryParse(der.Memory, out var list, out var broken))
            {
                problem = broken;
                return false;
            }

            read.Add(list);
        }

        return problem.Length == 0;
    }
}
