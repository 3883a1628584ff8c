using System.Text.Json.Nodes;
using Grpc.Core;
using Signet.Cli.Clients;
using Signet.Hosting.Configuration;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;
using Signet.Server.Access;
using Signet.Testing;

namespace Signet.FunctionalTests.Server;

/// <summary>Roles and the audit trail through the doors of a real server.</summary>
public sealed class AccessTests
{
    private static readonly uint Myself = Signet.Hosting.NativeUser.EffectiveId();
    private readonly CancellationToken _patience = new CancellationTokenSource(TimeSpan.FromMinutes(2)).Token;

    [Fact]
    public async Task An_operator_with_paths_works_below_them_and_nowhere_else()
    {
        await using var domain = await TestTrustDomain.StartAsync(hasAgent: false);
        using (var root = domain.Admin())
        {
            await root.CreateEntryAsync(Entry("/ns/dev/web", domain), _patience);
        }

        await RestartAsync(domain, $"{{roles: {{deployer: [entry.*, svid.mint, token.create]}}, grants: [{{uid: {Myself}, role: deployer, paths: [/ns/prod/]}}]}}");
        using var admin = domain.Admin();
        var mine = await admin.CreateEntryAsync(Entry("/ns/prod/web", domain), _patience);
        Assert.Equal(["/ns/prod/web"], (await admin.EntriesAsync(null, null, _patience)).Select(entry => entry.SpiffeId.Path));
        await DeniedAsync(() => admin.CreateEntryAsync(Entry("/ns/dev/api", domain), _patience), "entry.write is needed on spiffe://example.org/ns/dev/api");
        await DeniedAsync(() => admin.CreateEntryAsync(Entry("/ns/prod/api", domain) with { Admin = true }, _patience), "entry.privilege is needed without paths");
        await DeniedAsync(() => admin.CreateEntryAsync(Entry("/ns/prod/api", domain) with { Downstream = true }, _patience), "entry.privilege is needed without paths");
        await DeniedAsync(() => admin.CreateEntryAsync(Entry("/ns/prod/api", domain) with { DnsNames = ["bank.example.org"] }, _patience), "bank.example.org");
        await DeniedAsync(() => admin.MintAsync(SpiffeId.Parse("spiffe://example.org/ns/dev/web"), TimeSpan.FromMinutes(1), [], _patience), "svid.mint is needed");
        await DeniedAsync(() => admin.CreateTokenAsync(TimeSpan.FromMinutes(1), alias: null, _patience), "token.create is needed without paths");
        await DeniedAsync(() => admin.AgentsAsync(_patience), "agent.read is needed");
        await admin.MintAsync(SpiffeId.Parse("spiffe://example.org/ns/prod/web"), TimeSpan.FromMinutes(1), [], _patience);
        await admin.DeleteEntryAsync(mine.Id, _patience);

        await RestartAsync(domain, "{}");
        using var again = domain.Admin();
        Assert.Equal("/ns/dev/web", Assert.Single(await again.EntriesAsync(null, null, _patience)).SpiffeId.Path);
    }

    [Fact]
    public async Task An_operator_with_paths_cannot_reach_an_entry_outside_by_its_number()
    {
        await using var domain = await TestTrustDomain.StartAsync(hasAgent: false);
        using var root = domain.Admin();
        var others = await root.CreateEntryAsync(Entry("/ns/dev/web", domain), _patience);
        var privileged = await root.CreateEntryAsync(Entry("/ns/prod/boss", domain) with { Admin = true }, _patience);
        await RestartAsync(domain, $"{{grants: [{{uid: {Myself}, role: admin, paths: [/ns/prod/]}}]}}");
        using var admin = domain.Admin();
        await DeniedAsync(() => admin.EntryAsync(others.Id, _patience), "entry.read is needed");
        await DeniedAsync(() => admin.DeleteEntryAsync(others.Id, _patience), "entry.write is needed");
        await DeniedAsync(() => admin.DeleteEntryAsync(privileged.Id, _patience), "entry.privilege is needed");
    }

    [Fact]
    public async Task A_user_without_a_role_is_refused_and_told_where_to_give_one()
    {
        await using var domain = await TestTrustDomain.StartAsync(hasAgent: false);
        await RestartAsync(domain, $"{{roles: {{none: []}}, grants: [{{uid: {Myself}, role: none}}]}}");
        using var admin = domain.Admin();
        await DeniedAsync(() => admin.EntriesAsync(null, null, _patience), "entry.read is needed");
    }

    [Fact]
    public async Task A_workload_with_an_admin_entry_administers_over_the_network_and_one_without_does_not()
    {
        await using var domain = await TestTrustDomain.StartAsync(hasAgent: false);
        using var root = domain.Admin();
        using var tool = await OverNetworkAsync(domain, root, "/tool");
        await DeniedAsync(() => tool.EntriesAsync(null, null, _patience), "not open to you");

        var entry = await root.CreateEntryAsync(Entry("/tool", domain) with { Admin = true }, _patience);
        Assert.Equal("/tool", Assert.Single(await tool.EntriesAsync(null, null, _patience)).SpiffeId.Path);
        await tool.CreateEntryAsync(Entry("/made-by-tool", domain), _patience);

        await root.DeleteEntryAsync(entry.Id, _patience);
        await DeniedAsync(() => tool.EntriesAsync(null, null, _patience), "not open to you");
    }

    [Fact]
    public async Task A_grant_by_SPIFFE_ID_needs_no_admin_entry_and_limits_one_that_there_is()
    {
        await using var domain = await TestTrustDomain.StartAsync(hasAgent: false);
        await RestartAsync(domain, "{grants: [{spiffeId: 'spiffe://example.org/auditor', role: viewer}]}");
        using var root = domain.Admin();
        await root.CreateEntryAsync(Entry("/auditor", domain) with { Admin = true }, _patience);
        using var auditor = await OverNetworkAsync(domain, root, "/auditor");
        Assert.Single(await auditor.EntriesAsync(null, null, _patience));
        await DeniedAsync(() => auditor.CreateEntryAsync(Entry("/x", domain), _patience), "entry.write is needed");
        await foreach (var record in auditor.Audit.TailAsync(1, follow: false, _patience))
        {
            Assert.Equal("spiffe://example.org/auditor", record["caller"]!.ToString());
        }
    }

    [Fact]
    public async Task Every_change_and_every_refusal_is_in_the_audit_trail_with_its_reason_and_the_trail_holds()
    {
        await using var domain = await TestTrustDomain.StartAsync();
        using var root = domain.Admin();
        var entry = await root.CreateEntryAsync(Entry("/web", domain), _patience);
        using (var tool = await OverNetworkAsync(domain, root, "/tool"))
        {
            await DeniedAsync(() => tool.DeleteEntryAsync(entry.Id, _patience), "not open to you");
        }

        await root.DeleteEntryAsync(entry.Id, _patience);
        var records = await TailAsync(root);
        var created = records.Single(record => Is(record, "end", "BatchCreateEntry"));
        Assert.Contains($"entry {entry.Id} spiffe://example.org/web: OK", created["objects"]!.AsArray().Select(one => $"{one}"));
        var call = records.Single(record => $"{record["seq"]}" == $"{created["of"]}");
        Assert.Equal("allowed", $"{call["verdict"]}");
        Assert.Contains("role admin", $"{call["reason"]}");
        Assert.StartsWith($"uid {Myself} (pid ", $"{call["caller"]}");
        var refused = records.Single(record => Is(record, "call", "BatchDeleteEntry") && $"{record["verdict"]}" == "denied");
        Assert.Equal("spiffe://example.org/tool", $"{refused["caller"]}");
        Assert.Contains("no role; entry.write is needed", $"{refused["reason"]}");
        Assert.Contains(records, record => Is(record, "end", "AttestAgent") && $"{record["outcome"]}" == "OK");

        var verified = await root.Audit.VerifyAsync(null, _patience);
        Assert.Empty(verified.Findings);
        Assert.True(verified.Records >= records.Count);

        var file = Directory.GetFiles(Path.Combine(domain.Folder, "server", "audit")).Single();
        var text = await File.ReadAllTextAsync(file);
        await File.WriteAllTextAsync(file, text.Replace("\"denied\"", "\"deniee\"", StringComparison.Ordinal));
        Assert.NotEmpty((await root.Audit.VerifyAsync(null, _patience)).Findings);
    }

    [Fact]
    public async Task Whoever_follows_the_trail_gets_each_record_as_it_comes()
    {
        await using var domain = await TestTrustDomain.StartAsync(hasAgent: false);
        using var root = domain.Admin();
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(_patience);
        await using var tail = root.Audit.TailAsync(1, follow: true, stop.Token).GetAsyncEnumerator(stop.Token);
        Assert.True(await tail.MoveNextAsync());
        await root.CreateEntryAsync(Entry("/web", domain), _patience);
        var seen = new List<JsonObject>();
        while (await tail.MoveNextAsync() && !Is(tail.Current, "end", "BatchCreateEntry"))
        {
            seen.Add(tail.Current);
        }

        Assert.Contains(seen, record => Is(record, "call", "BatchCreateEntry"));
        await stop.CancelAsync();
    }

    private static bool Is(JsonObject record, string kind, string method) =>
        $"{record["kind"]}" == kind && $"{record["action"]}".EndsWith(method, StringComparison.Ordinal);

    private async Task<List<JsonObject>> TailAsync(AdminClient admin)
    {
        var records = new List<JsonObject>();
        await foreach (var record in admin.Audit.TailAsync(1000, follow: false, _patience))
        {
            records.Add(record);
        }

        return records;
    }

    private async Task<AdminClient> OverNetworkAsync(TestTrustDomain domain, AdminClient root, string path)
    {
        var folder = Path.Combine(domain.Folder, "svid" + path.Replace('/', '-'));
        SvidFolder.Write(folder, await root.MintAsync(SpiffeId.Of(TestTrustDomain.Name, path), TimeSpan.FromMinutes(10), [], _patience), [await root.BundleAsync(_patience)]);
        return new AdminClient(await AdminChannel.OpenAsync($"{domain.ServerEndPoint}", folder, TimeProvider.System, _patience), TimeProvider.System);
    }

    private static async Task RestartAsync(TestTrustDomain domain, string admin)
    {
        domain.Access = ConfigDocument.Read("server.yaml", $"admin: {admin}\n", new Dictionary<string, string>(), root => AccessRules.Read(root.Section("admin")));
        await domain.StopServerAsync();
        await domain.StartServerAsync();
    }

    private static async Task DeniedAsync(Func<Task> work, string reason)
    {
        var refused = await Assert.ThrowsAsync<RpcException>(work);
        Assert.Equal(StatusCode.PermissionDenied, refused.StatusCode);
        Assert.Contains(reason, refused.Status.Detail);
    }

    private static RegistrationEntry Entry(string path, TestTrustDomain domain) => new()
    {
        Id = "",
        SpiffeId = SpiffeId.Of(TestTrustDomain.Name, path),
        ParentId = domain.AgentId,
        Selectors = [new Selector("unix", "uid:4294967294")],
    };
}
