using System.Text;
using Microsoft.AspNetCore.Http;
using Signet.Agent.Attestation.Workload;
using Signet.Agent.Attestation.Workload.Containers;

namespace Signet.FunctionalTests.Agent.Workloads;

/// <summary>Which container a process is in, by an engine's own word, over its real socket.</summary>
public sealed class EngineAttestorTests : IAsyncLifetime
{
    private const int Pid = 4711, First = 4700;
    private static readonly string Id = new('a', 64);
    private static readonly string Other = new('b', 64);

    private readonly ContainerProc _proc = new();
    private FakeEngine _engine = null!;

    public async ValueTask InitializeAsync()
    {
        _engine = await FakeEngine.StartAsync();
        _engine.Containers[Id] = FakeEngine.Container(Id, First);
        _proc.Put(First, $"0::/system.slice/docker-{Id}.scope\n");
        _proc.Put(Pid, $"0::/system.slice/docker-{Id}.scope\n");
    }

    public async ValueTask DisposeAsync()
    {
        await _engine.DisposeAsync();
        _proc.Dispose();
    }

    [Fact]
    public async Task What_the_engine_says_of_the_container_becomes_SPIREs_selectors()
    {
        var verdict = await DockerAsync();
        Assert.Equal("", verdict.Problem);
        Assert.Equal(
            ["docker:env:MODE=a=b", "docker:env:PATH=/bin", "docker:image_config_digest:sha256:0123", "docker:image_id:registry/web:1", "docker:label:com.example.app:web"],
            verdict.Selectors.Select(selector => selector.ToString()).Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task A_process_deeper_in_the_container_is_in_it_too()
    {
        _proc.Put(Pid, $"0::/system.slice/docker-{Id}.scope/system.slice/web.service\n");
        Assert.NotEmpty((await DockerAsync()).Selectors);
    }

    [Fact]
    public async Task A_process_in_no_container_asks_nobody()
    {
        _proc.Put(Pid, "0::/system.slice/nginx.service\n");
        Assert.Equal(WorkloadVerdict.Nothing, await DockerAsync());
        Assert.Equal(0, _engine.Asked);
    }

    [Theory]
    [InlineData("0::/user.slice/user-1000.slice/user@1000.service/docker-{0}.scope\n")]
    [InlineData("0::/system.slice/app.service/docker-{0}.scope\n")]
    [InlineData("0::/docker/{0}\n")]
    public async Task A_group_that_is_only_called_like_a_containers_is_not_that_container(string cgroup)
    {
        _proc.Put(Pid, cgroup.Replace("{0}", Id, StringComparison.Ordinal));
        var verdict = await DockerAsync();
        Assert.Contains("is not that of container", verdict.Problem);
        Assert.Empty(verdict.Selectors);
    }

    [Fact]
    public async Task A_container_that_calls_a_group_of_its_own_like_anothers_is_still_itself()
    {
        _engine.Containers[Other] = FakeEngine.Container(Other, First + 1);
        _proc.Put(First + 1, $"0::/system.slice/docker-{Other}.scope\n");
        _proc.Put(Pid, $"0::/system.slice/docker-{Other}.scope/system.slice/docker-{Id}.scope\n");
        _engine.Containers[Other]["Config"]!["Labels"]!["com.example.app"] = "other";
        Assert.Contains((await DockerAsync()).Selectors, selector => selector.Value == "label:com.example.app:other");
    }

    [Fact]
    public async Task A_container_that_the_engine_does_not_know_may_be_another_engines()
    {
        _engine.Containers.Clear();
        var verdict = await DockerAsync();
        Assert.True(verdict.IsAttested);
        Assert.Empty(verdict.Selectors);
        Assert.Contains("knows no container", Assert.Single(verdict.Notes));
    }

    [Theory]
    [InlineData("another container", "answered about another")]
    [InlineData("ended", "does not run")]
    [InlineData("no state", "does not run")]
    [InlineData("a process that is gone", "cannot be read")]
    [InlineData("500", "answered 500")]
    [InlineData("no JSON", "engine.sock")]
    [InlineData("a list", "answered about another")]
    [InlineData("redirect", "answered 302")]
    [InlineData("a break", "engine.sock")]
    [InlineData("100 MB", "longer than 4194304 bytes")]
    [InlineData("100 MB, announced", "longer than 4194304 bytes")]
    [InlineData("deep", "engine.sock")]
    public async Task An_engine_that_says_something_else_than_it_should_gives_nobody_anything(string what, string reason)
    {
        var container = _engine.Containers[Id];
        switch (what)
        {
            case "another container":
                container["Id"] = Other;
                break;
            case "ended":
                container["State"]!["Pid"] = 0;
                break;
            case "no state":
                container["State"] = null;
                break;
            case "a process that is gone":
                container["State"]!["Pid"] = 12;
                break;
            default:
                _engine.Instead = context => MisbehaveAsync(context, what);
                break;
        }

        var verdict = await DockerAsync();
        Assert.Contains(reason, verdict.Problem);
        Assert.Empty(verdict.Selectors);
    }

    [Fact]
    public async Task An_engine_that_hangs_is_given_up()
    {
        var time = new Testing.ManualTimeProvider(DateTimeOffset.UtcNow);
        _engine.Instead = context => Task.Delay(Timeout.Infinite, context.RequestAborted);
        using var attestor = EngineAttestor.ForDocker(_engine.Socket, _proc.Proc, time);
        var asked = attestor.AttestAsync(Process, CancellationToken.None);
        await Testing.Eventually.IsTrueAsync(() => _engine.Asked > 0, "the question");
        time.Advance(TimeSpan.FromSeconds(5));
        Assert.Contains("did not answer within 5 s", (await asked).Problem);
    }

    [Fact]
    public async Task An_engine_that_is_not_there_is_a_reason()
    {
        using var attestor = EngineAttestor.ForDocker(_engine.Socket + "x", _proc.Proc, TimeProvider.System);
        Assert.Contains("engine.sockx", (await attestor.AttestAsync(Process, CancellationToken.None)).Problem);
    }

    [Fact]
    public async Task Podmans_containers_are_Podmans_to_describe()
    {
        _proc.Put(First, $"0::/machine.slice/libpod-{Id}.scope/container\n");
        _proc.Put(Pid, $"0::/machine.slice/libpod-{Id}.scope/container\n");
        Assert.Equal(WorkloadVerdict.Nothing, await DockerAsync());
        Assert.NotEmpty((await PodmanAsync(new PodmanConfig { Socket = _engine.Socket })).Selectors);
        _proc.Put(Pid, $"0::/system.slice/docker-{Id}.scope\n");
        Assert.Equal(WorkloadVerdict.Nothing, await PodmanAsync(new PodmanConfig { Socket = _engine.Socket }));
    }

    [Fact]
    public async Task Another_users_own_Podman_is_believed_only_if_that_user_is_named()
    {
        var cgroup = $"0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{Id}.scope/container\n";
        _proc.Put(First, cgroup);
        _proc.Put(Pid, cgroup);
        var config = new PodmanConfig { Socket = "/nowhere", UserSocket = Path.Combine(Path.GetDirectoryName(_engine.Socket)!, "{uid}.sock") };
        var verdict = await PodmanAsync(config);
        Assert.Empty(verdict.Selectors);
        Assert.Contains("podman.users does not name that user", Assert.Single(verdict.Notes));

        File.CreateSymbolicLink(config.UserSocket.Replace("{uid}", "1000", StringComparison.Ordinal), _engine.Socket);
        Assert.NotEmpty((await PodmanAsync(config with { Users = [1000] })).Selectors);
        Assert.Empty((await PodmanAsync(config with { Users = [1001] })).Selectors);
    }

    private static WorkloadProcess Process => new(Pid, 0, 0, () => true);

    private async Task<WorkloadVerdict> DockerAsync()
    {
        using var attestor = EngineAttestor.ForDocker(_engine.Socket, _proc.Proc, TimeProvider.System);
        return await attestor.AttestAsync(Process, CancellationToken.None);
    }

    private async Task<WorkloadVerdict> PodmanAsync(PodmanConfig config)
    {
        using var attestor = EngineAttestor.ForPodman(config, _proc.Proc, TimeProvider.System);
        return await attestor.AttestAsync(Process, CancellationToken.None);
    }

    private static async Task MisbehaveAsync(HttpContext context, string what)
    {
        switch (what)
        {
            case "500":
                context.Response.StatusCode = 500;
                break;
            case "redirect":
                context.Response.Redirect("http://127.0.0.1:1/");
                break;
            case "a break":
                context.Abort();
                break;
            case "no JSON":
                await context.Response.Body.WriteAsync("<html>"u8.ToArray());
                break;
            case "a list":
                await context.Response.Body.WriteAsync("[]"u8.ToArray());
                break;
            case "deep":
                await context.Response.Body.WriteAsync(Encoding.ASCII.GetBytes(new string('[', 10_000)));
                break;
            default:
                context.Response.ContentLength = what == "100 MB, announced" ? 100_000_000 : null;
                var piece = new byte[100_000];
                Array.Fill(piece, (byte)' ');
                for (var i = 0; i < 1000 && !context.RequestAborted.IsCancellationRequested; i++)
                {
                    await context.Response.Body.WriteAsync(piece, context.RequestAborted);
                }

                break;
        }
    }
}
