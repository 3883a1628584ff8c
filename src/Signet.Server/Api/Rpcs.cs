using Grpc.Core;
using Signet.Authority.Issuance;
using Signet.Authority.Keys;
using Signet.Authority.Rotation;
using Signet.Server.Storage;

namespace Signet.Server.Api;

/// <summary>Failures of the inside as statuses of the outside.</summary>
internal static class Rpcs
{
    public static RpcException Invalid(string problem) => new(new Status(StatusCode.InvalidArgument, problem));

    public static RpcException NotFound(string problem) => new(new Status(StatusCode.NotFound, problem));

    public static RpcException Denied(string problem) => new(new Status(StatusCode.PermissionDenied, problem));

    /// <summary>Runs the work; what the outside world broke becomes UNAVAILABLE with its reason, since trying again may help.</summary>
    public static async Task<T> GuardAsync<T>(Func<Task<T>> work)
    {
        try
        {
            return await work().ConfigureAwait(false);
        }
        catch (StoreException e)
        {
            throw new RpcException(new Status(StatusCode.Unavailable, e.Message));
        }
        catch (AuthorityException e)
        {
            throw new RpcException(new Status(StatusCode.FailedPrecondition, e.Message));
        }
        catch (Exception e) when (e is IssuanceException or KeyManagerException)
        {
            throw new RpcException(new Status(StatusCode.Unavailable, e.Message));
        }
    }
}
