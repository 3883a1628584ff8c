using Microsoft.Extensions.Logging.Abstractions;
using Signet.Agent.Attestation.Workload;
using Signet.Agent.Identities;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;
using Signet.Testing;

namespace Signet.UnitTests.Agent.Attestation.Workload;

public sealed class WorkloadAttestorTests : IDisposable
{
    private static readonly Selector One = new("a", "1");
    private static readonly Selector Two = new("b", "2");

    private readonly FakeProc _proc = new();
    private readonly ManualTimeProvider _time = new();
    private readonly IdentityCache _cache = new();

    public void Dispose() => _proc.Dispose();

    [Fact]
    public async Task What_all_attestors_find_is_put_together()
    {
        var verdict = await AttestAsync(new Fixed("a", Found(One)), new Fixed("b", Found(Two) with { Notes = ["n"] }));
        Assert.Equal([One, Two], verdict.Selectors.OrderBy(selector => selector.Type));
        Assert.Equal(["n"], verdict.Notes);
        Assert.True(verdict.IsAttested);
    }

    [Fact]
    public async Task Where_one_cannot_say_what_it_should_nothing_counts_and_its_name_stands_before_the_reason()
    {
        var verdict = await AttestAsync(new Fixed("a", Found(One)), new Fixed("b", WorkloadVerdict.Failed("the engine is down")));
        Assert.False(verdict.IsAttested);
        Assert.Equal("b: the engine is down", verdict.Problem);
    }

    [Fact]
    public async Task A_process_that_has_ended_meanwhile_gets_nothing_whoever_has_its_number_now()
    {
        var alive = true;
        var attestor = Attestor(new Fixed("a", () =>
        {
            alive = false;
            return Found(One);
        }));
        var verdict = await attestor.AttestAsync(new WorkloadProcess(1, 0, 0, () => alive), CancellationToken.None);
        Assert.Empty(verdict.Selectors);
        Assert.Contains("has ended", verdict.Problem);
    }

    [Fact]
    public async Task A_selector_that_is_longer_than_any_entry_could_ask_for_is_left_out() =>
        Assert.Equal([One], (await AttestAsync(new Fixed("a", Found(One, new Selector("a", new string('x', Selector.MaxLength)))))).Selectors);

    [Fact]
    public async Task Attestors_that_take_too_long_are_given_up()
    {
        var asked = Attestor(new Endless()).AttestAsync(new WorkloadProcess(1, 0, 0, () => true), CancellationToken.None);
        _time.Advance(WorkloadAttestor.Timeout);
        Assert.Contains("within 45 s", (await asked).Problem);
    }

    [Fact]
    public async Task Whoever_asked_may_give_up()
    {
        using var gone = new CancellationTokenSource();
        var asked = Attestor(new Endless()).AttestAsync(new WorkloadProcess(1, 0, 0, () => true), gone.Token);
        await gone.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => asked);
    }

    [Fact]
    public async Task What_entries_begin_to_ask_about_is_not_covered_by_what_was_looked_for_before()
    {
        var attestor = Attestor(new Fixed("a", Found(One)));
        var before = await attestor.AttestAsync(new WorkloadProcess(1, 0, 0, () => true), CancellationToken.None);
        Publish(new Selector("unix", "uid:0"), new Selector("unix", "path:sha256:"));
        Assert.True(attestor.Covers(before));
        Publish(new Selector("unix", $"sha256:{new string('0', 64)}"));
        Assert.False(attestor.Covers(before));
        var after = await attestor.AttestAsync(new WorkloadProcess(1, 0, 0, () => true), CancellationToken.None);
        Assert.True(attestor.Covers(after));
        Publish();
        Assert.True(attestor.Covers(after));
        Publish(new Selector("systemd", "fragment_path:/x"));
        Assert.False(attestor.Covers(after));
    }

    [Fact]
    public async Task A_proc_of_another_pid_namespace_says_nothing_about_anybody()
    {
        File.Delete(_proc.File("proc/self"));
        Assert.Contains("does not show this agent itself", (await AttestAsync(new Fixed("a", Found(One)))).Problem);
        File.CreateSymbolicLink(_proc.File("proc/self"), "1234567");
        Assert.Contains("another pid namespace", (await AttestAsync(new Fixed("a", Found(One)))).Problem);
    }

    private Task<WorkloadVerdict> AttestAsync(params IWorkloadAttestor[] attestors) => Attestor(attestors).AttestAsync(new WorkloadProcess(1, 0, 0, () => true), CancellationToken.None);

    private WorkloadAttestor Attestor(params IWorkloadAttestor[] attestors) => new(attestors, _proc.Proc, new WantedFacts(_cache), _time, NullLogger<WorkloadAttestor>.Instance);

    private void Publish(params Selector[] selectors) => _cache.Publish(IdentitySnapshot.Empty with
    {
        View = NodeView.Nothing with
        {
            Revision = 1,
            Entries = [new RegistrationEntry { Id = "1", SpiffeId = SpiffeId.Parse("spiffe://example.org/a"), ParentId = SpiffeId.Parse("spiffe://example.org/b"), Selectors = [.. selectors] }],
        },
    });

    private static WorkloadVerdict Found(params Selector[] selectors) => new(selectors.ToHashSet(), "");

    private sealed class Fixed(string name, Func<WorkloadVerdict> verdict) : IWorkloadAttestor
    {
        public Fixed(string name, WorkloadVerdict verdict)
            : this(name, () => verdict)
        {
        }

        public string Name => name;

        public Task<WorkloadVerdict> AttestAsync(WorkloadProcess process, CancellationToken cancellationToken) => Task.FromResult(verdict());
    }

    private sealed class Endless : IWorkloadAttestor
    {
        public string Name => "endless";

        public async Task<WorkloadVerdict> AttestAsync(WorkloadProcess process, CancellationToken cancellationToken)
        {
            await Task.Delay(System.Threading.Timeout.Infinite, cancellationToken);
            return WorkloadVerdict.Nothing;
        }
    }
}
