using Grpc.Core;
using Signet.Rpc.Wire.Spire.Types;
using Signet.Server.Federation;
using WireStatus = Signet.Rpc.Wire.Spire.Types.Status;

namespace Signet.Server.Api;

/// <summary>What masks, pages and outcomes of the two federation services have in common.</summary>
internal static class BundleMasks
{
    /// <summary>The fields that an output mask names; without one, all.</summary>
    public static Bundle Only(this Bundle bundle, BundleMask? mask) => mask is null ? bundle : new Bundle { TrustDomain = bundle.TrustDomain }.With(bundle, mask);

    /// <summary>The same bundle with the fields that a mask names taken from another.</summary>
    public static Bundle With(this Bundle bundle, Bundle other, BundleMask mask)
    {
        var (x509, jwt) = (mask.X509Authorities ? other : bundle, mask.JwtAuthorities ? other : bundle);
        var changed = new Bundle
        {
            TrustDomain = bundle.TrustDomain,
            RefreshHint = mask.RefreshHint ? other.RefreshHint : bundle.RefreshHint,
            SequenceNumber = mask.SequenceNumber ? other.SequenceNumber : bundle.SequenceNumber,
        };
        changed.X509Authorities.AddRange(x509.X509Authorities);
        changed.JwtAuthorities.AddRange(jwt.JwtAuthorities);
        return changed;
    }

    public static WireStatus ToWire(this FederationResult result) => new()
    {
        Code = (int)(result.Outcome switch
        {
            FederationOutcome.Done => StatusCode.OK,
            FederationOutcome.AlreadyExists => StatusCode.AlreadyExists,
            FederationOutcome.NotFound => StatusCode.NotFound,
            FederationOutcome.Hindered => StatusCode.FailedPrecondition,
            _ => StatusCode.InvalidArgument,
        }),
        Message = result.Reason,
    };
}

/// <summary>Pages by name, in order.</summary>
internal static class Paging
{
    public const int MaxBatch = 500;
    private const int MaxPage = 500;

    /// <param name="all">Sorted by name.</param>
    /// <param name="token">The last name of the page before; empty for the first page.</param>
    /// <param name="size">How many; 0 for as many as a page may have.</param>
    public static (IReadOnlyList<T> Page, string Next) Of<T>(IReadOnlyDictionary<string, T> all, string token, int size)
    {
        var most = size is > 0 and <= MaxPage ? size : MaxPage;
        var page = all.SkipWhile(pair => string.CompareOrdinal(pair.Key, token) <= 0).Take(most + 1).ToArray();
        return ([.. page.Take(most).Select(pair => pair.Value)], page.Length > most ? page[most - 1].Key : "");
    }

    public static void CheckBatch(int count)
    {
        if (count > MaxBatch)
        {
            throw Rpcs.Invalid($"{count} in one call; the limit is {MaxBatch}");
        }
    }
}
