using System.Collections.Immutable;
using Grpc.Core;
using Signet.Rpc.Wire.Health;
using ServingStatus = Signet.Rpc.Wire.Health.HealthCheckResponse.Types.ServingStatus;

namespace Signet.Hosting.Grpc;

/// <summary>
/// gRPC health checking over states that the application sets. The service named <c>""</c> stands for the server as a whole.
/// Thread-safe.
/// </summary>
public sealed class GrpcHealthService : Rpc.Wire.Health.Health.HealthBase
{
    private Board _board = new(ImmutableDictionary.Create<string, ServingStatus>(StringComparer.Ordinal));

    /// <summary>Sets the state of a service; watchers hear of it at once.</summary>
    public void Set(string service, ServingStatus status)
    {
        Board before;
        Board after;
        do
        {
            before = Volatile.Read(ref _board);
            after = new Board(before.States.SetItem(service, status));
        }
        while (Interlocked.CompareExchange(ref _board, after, before) != before);
        before.Replace();
    }

    public override Task<HealthCheckResponse> Check(HealthCheckRequest request, ServerCallContext context) =>
        Volatile.Read(ref _board).States.TryGetValue(request.Service, out var status)
            ? Task.FromResult(new HealthCheckResponse { Status = status })
            : throw new RpcException(new Status(StatusCode.NotFound, "this server knows no such service"));

    public override Task<HealthListResponse> List(HealthListRequest request, ServerCallContext context)
    {
        var response = new HealthListResponse();
        foreach (var (service, status) in Volatile.Read(ref _board).States)
        {
            response.Statuses.Add(service, new HealthCheckResponse { Status = status });
        }

        return Task.FromResult(response);
    }

    public override async Task Watch(
        HealthCheckRequest request, IServerStreamWriter<HealthCheckResponse> responseStream, ServerCallContext context)
    {
        ServingStatus? told = null;
        while (true)
        {
            var board = Volatile.Read(ref _board);
            var status = board.States.GetValueOrDefault(request.Service, ServingStatus.ServiceUnknown);
            if (status != told)
            {
                await responseStream.WriteAsync(new HealthCheckResponse { Status = status });
                told = status;
            }

            await board.Replaced.WaitAsync(context.CancellationToken);
        }
    }

    /// <summary>The states at one time, and a way to hear when they are no longer the latest.</summary>
    private sealed class Board(ImmutableDictionary<string, ServingStatus> states)
    {
        private readonly TaskCompletionSource _replaced = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public ImmutableDictionary<string, ServingStatus> States { get; } = states;

        public Task Replaced => _replaced.Task;

        public void Replace() => _replaced.TrySetResult();
    }
}
