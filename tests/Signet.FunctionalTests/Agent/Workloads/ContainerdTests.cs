using System.Collections.Concurrent;
using Grpc.Core;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Signet.Agent.Attestation.Workload;
using Signet.Agent.Attestation.Workload.Containers;
using Signet.Hosting.Grpc;
using Signet.Rpc.Wire.Containerd.Containers;
using Signet.Rpc.Wire.Containerd.Tasks;
using Signet.Rpc.Wire.Containerd.Types;
using Signet.Testing;

namespace Signet.FunctionalTests.Agent.Workloads;

/// <summary>Which container a process is in, by containerd's own word, over a socket that speaks as its contract has it.</summary>
public sealed class ContainerdTests : IAsyncLifetime
{
    private const int Pid = 4711, First = 4700;
    private static readonly string Id = new('a', 64);

    private readonly TestFolder _folder = new();
    private readonly ContainerProc _proc = new();
    private readonly FakeContainerd _containerd = new();
    private WebApplication _app = null!;

    public async ValueTask InitializeAsync()
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.Services.AddSingleton<ILoggerFactory>(NullLoggerFactory.Instance);
        builder.Services.AddRoutingCore();
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => kestrel.ListenUnixSocket(_folder.File("containerd.sock"), listen => listen.Protocols = HttpProtocols.Http2));
        _app = builder.Build();
        _app.UseRouting();
        _app.MapGrpc(TimeProvider.System, new GrpcServerOptions(), services => services
            .Add(Containers.Descriptor, Containers.BindService(new FakeContainers(_containerd)))
            .Add(Tasks.Descriptor, Tasks.BindService(new FakeTasks(_containerd))));
        await _app.StartAsync();
        _containerd.Containers[("k8s.io", Id)] = new Container { Id = Id, Image = "registry/web:1", Labels = { ["app"] = "web" } };
        _containerd.Pids[("k8s.io", Id)] = First;
        _proc.Put(First, $"0::/system.slice/nerdctl-{Id}.scope\n");
        _proc.Put(Pid, $"0::/system.slice/nerdctl-{Id}.scope/worker\n");
    }

    public async ValueTask DisposeAsync()
    {
        await _app.DisposeAsync();
        _proc.Dispose();
        _folder.Dispose();
    }

    [Fact]
    public async Task What_containerd_says_of_the_container_becomes_selectors()
    {
        var verdict = await AttestAsync("default", "k8s.io");
        Assert.Equal("", verdict.Problem);
        Assert.Equal(
            ["containerd:image:registry/web:1", "containerd:label:app:web", "containerd:namespace:k8s.io"],
            verdict.Selectors.Select(selector => selector.ToString()).Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task A_container_in_a_namespace_that_is_not_asked_is_another_engines()
    {
        var verdict = await AttestAsync("default");
        Assert.True(verdict.IsAttested);
        Assert.Empty(verdict.Selectors);
        Assert.Contains("containerd knows no container", Assert.Single(verdict.Notes));
    }

    [Theory]
    [InlineData("the name alone", "is not that of container")]
    [InlineData("nothing runs", "does not run")]
    [InlineData("another's", "answered about another")]
    [InlineData("refuses", "PermissionDenied")]
    [InlineData("is not there", "containerd.sock")]
    public async Task What_is_not_sure_gives_nobody_anything(string what, string reason)
    {
        switch (what)
        {
            case "the name alone":
                _proc.Put(Pid, $"0::/user.slice/user-1000.slice/user@1000.service/nerdctl-{Id}.scope\n");
                break;
            case "nothing runs":
                _containerd.Pids.Clear();
                break;
            case "another's":
                _containerd.Containers[("k8s.io", Id)].Id = new string('b', 64);
                break;
            case "refuses":
                _containerd.Refusal = new RpcException(new Status(StatusCode.PermissionDenied, "no"));
                break;
            default:
                await _app.StopAsync();
                break;
        }

        var verdict = await AttestAsync("k8s.io");
        Assert.Contains(reason, verdict.Problem);
        Assert.Empty(verdict.Selectors);
    }

    private async Task<WorkloadVerdict> AttestAsync(params string[] namespaces)
    {
        using var attestor = EngineAttestor.ForContainerd(new ContainerdConfig { Socket = _folder.File("containerd.sock"), Namespaces = namespaces }, _proc.Proc, TimeProvider.System);
        return await attestor.AttestAsync(new WorkloadProcess(Pid, 0, 0, () => true), CancellationToken.None);
    }

    private sealed class FakeContainerd
    {
        public ConcurrentDictionary<(string Space, string Id), Container> Containers { get; } = new();

        public ConcurrentDictionary<(string Space, string Id), uint> Pids { get; } = new();

        public RpcException? Refusal { get; set; }

        public T Find<T>(ConcurrentDictionary<(string Space, string Id), T> all, ServerCallContext context, string id) =>
            Refusal is { } refusal ? throw refusal
            : all.TryGetValue((context.RequestHeaders.GetValue("containerd-namespace") ?? "", id), out var found) ? found
            : throw new RpcException(new Status(StatusCode.NotFound, "not found"));
    }

    private sealed class FakeContainers(FakeContainerd containerd) : Containers.ContainersBase
    {
        public override Task<GetContainerResponse> Get(GetContainerRequest request, ServerCallContext context) =>
            Task.FromResult(new GetContainerResponse { Container = containerd.Find(containerd.Containers, context, request.Id) });
    }

    private sealed class FakeTasks(FakeContainerd containerd) : Tasks.TasksBase
    {
        public override Task<GetResponse> Get(GetRequest request, ServerCallContext context) =>
            Task.FromResult(new GetResponse { Process = new Process { ContainerId = request.ContainerId, Pid = containerd.Find(containerd.Pids, context, request.ContainerId) } });
    }
}
