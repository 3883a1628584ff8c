using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Signet.Authority.Issuance;
using Signet.Authority.Keys;
using Signet.Authority.Rotation;
using Signet.Rpc.Wire.Spire.Types;
using Signet.Server.Limits;
using Signet.Server.Storage;

namespace Signet.Server.Api;

/// <summary>Failures of the inside as statuses of the outside.</summary>
internal static class Rpcs
{
    public static RpcException Invalid(string problem) => new(new Grpc.Core.Status(StatusCode.InvalidArgument, problem));

    public static RpcException NotFound(string problem) => new(new Grpc.Core.Status(StatusCode.NotFound, problem));

    public static RpcException Denied(string problem) => new(new Grpc.Core.Status(StatusCode.PermissionDenied, problem));

    /// <summary>A denial that tells an agent, in a form that SPIRE's agents act on, what is the matter with it.</summary>
    public static RpcException Denied(PermissionDeniedDetails.Types.Reason reason, string message)
    {
        var details = new Rpc.Wire.GoogleRpc.Status { Code = (int)StatusCode.PermissionDenied, Message = message };
        details.Details.Add(Any.Pack(new PermissionDeniedDetails { Reason = reason }));
        return new RpcException(new Grpc.Core.Status(StatusCode.PermissionDenied, message), new Metadata { { "grpc-status-details-bin", details.ToByteArray() } });
    }

    public static RpcException Limited(ReachedLimit limit) => new(new Grpc.Core.Status(StatusCode.ResourceExhausted, limit.Reason));

    /// <inheritdoc cref="GuardAsync{T}(Func{Task{T}})"/>
    public static Task GuardAsync(Func<Task> work) => GuardAsync<object?>(async () =>
    {
        await work().ConfigureAwait(false);
        return null;
    });

    /// <summary>Runs the work; what the outside world broke becomes UNAVAILABLE with its reason, since trying again may help.</summary>
    public static async Task<T> GuardAsync<T>(Func<Task<T>> work)
    {
        try
        {
            return await work().ConfigureAwait(false);
        }
        catch (StoreException e)
        {
            throw new RpcException(new Grpc.Core.Status(StatusCode.Unavailable, e.Message));
        }
        catch (AuthorityException e)
        {
            throw new RpcException(new Grpc.Core.Status(StatusCode.FailedPrecondition, e.Message));
        }
        catch (Exception e) when (e is IssuanceException or KeyManagerException)
        {
            throw new RpcException(new Grpc.Core.Status(StatusCode.Unavailable, e.Message));
        }
    }
}
