using System.Net;
using Grpc.Core;
using Signet.Agent.Sds;
using Signet.Agent.Telemetry;
using Signet.Testing;

namespace Signet.UnitTests.Agent.Sds;

public sealed class SdsClientsTests
{
    private readonly ManualTimeProvider _time = new();

    [Fact]
    public void Operators_see_what_a_client_was_sent_accepted_and_rejected()
    {
        var clients = new SdsClients(_time);
        using var client = clients.Open(7, 1000, "spiffe://example.org/web", "delta");
        client.Introduced("sidecar~web\u001b[2J", "envoy 1.37.0");
        client.Asks(["default", "file-cert:/home/ann/c.pem~/home/ann/k.pem"]);
        client.DoesNotGet([("guess", "this workload has no secret of that name")]);
        client.Sent("v1");
        client.Accepted();
        client.Sent("v2");
        client.Rejected("bad key");
        var json = SdsClientsRoute.Json(clients.Views);
        var one = Assert.Single(json["clients"]!.AsArray())!;
        Assert.Equal("sidecar~web\\u001b[2J", $"{one["node"]}");
        Assert.Equal("envoy 1.37.0", $"{one["userAgent"]}");
        Assert.Equal(["default", "file-cert:"], one["names"]!.AsArray().Select(name => $"{name}"));
        Assert.Equal("this workload has no secret of that name", $"{one["missing"]!["guess"]}");
        Assert.Equal(("rejected", "v2", "v1", "v2", "bad key"), ($"{one["standing"]}", $"{one["sent"]!["version"]}", $"{one["accepted"]!["version"]}", $"{one["rejected"]!["version"]}", $"{one["rejected"]!["problem"]}"));
        Assert.Equal(("2030-01-01T00:00:00Z", "2", "1"), ($"{one["sent"]!["at"]}", $"{one["responses"]}", $"{one["rejections"]}"));
    }

    [Fact]
    public void A_client_that_has_gone_is_not_shown_and_those_that_refused_come_first()
    {
        var clients = new SdsClients(_time);
        clients.Open(1, 0, "spiffe://example.org/a", "sotw").Dispose();
        using var fine = clients.Open(2, 0, "spiffe://example.org/b", "sotw");
        using var refused = clients.Open(3, 0, "spiffe://example.org/c", "sotw");
        refused.Sent("v");
        refused.Rejected("no");
        var json = SdsClientsRoute.Json(clients.Views);
        Assert.Equal([3, 2], json["clients"]!.AsArray().Select(client => client!["pid"]!.GetValue<int>()));
        Assert.Equal(2, json["open"]!.GetValue<int>());
    }

    [Fact]
    public void Other_machines_are_shown_no_clients()
    {
        var clients = new SdsClients(_time);
        Assert.Equal("/sds", Assert.Single(SdsClientsRoute.At(new IPEndPoint(IPAddress.Loopback, 1), clients)).Path);
        Assert.Single(SdsClientsRoute.At(new IPEndPoint(IPAddress.IPv6Loopback, 1), clients));
        Assert.Empty(SdsClientsRoute.At(new IPEndPoint(IPAddress.Any, 1), clients));
        Assert.Empty(SdsClientsRoute.At(IPEndPoint.Parse("10.0.0.9:1"), clients));
    }

    [Fact]
    public void Streams_are_counted_by_process_and_by_user_and_a_closed_one_makes_room()
    {
        var clients = new SdsClients(_time);
        var open = Enumerable.Range(0, SdsClients.MaxStreamsPerProcess).Select(_ => clients.Open(1, 1000, "spiffe://example.org/a", "sotw")).ToList();
        Assert.Equal(StatusCode.ResourceExhausted, Assert.Throws<RpcException>(() => clients.Open(1, 1000, "spiffe://example.org/a", "sotw")).StatusCode);
        open[0].Dispose();
        open[0].Dispose();
        open[0] = clients.Open(1, 1000, "spiffe://example.org/a", "sotw");
        for (var pid = 2; open.Count < SdsClients.MaxStreamsPerUser; pid++)
        {
            open.AddRange(Enumerable.Range(0, SdsClients.MaxStreamsPerProcess).Select(_ => clients.Open(pid, 1000, "spiffe://example.org/a", "sotw")));
        }

        Assert.Contains("processes of this user", Assert.Throws<RpcException>(() => clients.Open(99, 1000, "spiffe://example.org/a", "sotw")).Status.Detail, StringComparison.Ordinal);
        clients.Open(100, 1001, "spiffe://example.org/b", "sotw").Dispose();
        open.ForEach(client => client.Dispose());
        Assert.Empty(clients.Views);
    }

    [Fact]
    public void Metrics_name_so_many_identities_and_no_more()
    {
        var clients = new SdsClients(_time);
        for (var i = 0; i < SdsMetrics.MaxIdentities + 5; i++)
        {
            clients.Open(i, 0, $"spiffe://example.org/{i:d4}", "sotw").Sent("v");
        }

        var measured = SdsMetrics.Streams(clients.Views).ToList();
        Assert.Equal(SdsMetrics.MaxIdentities + 1, measured.Count);
        var others = Assert.Single(measured, one => one.Tags.ToArray().Any(tag => tag is { Key: "client", Value: "others" }));
        Assert.Equal(5, others.Value);
        Assert.All(measured, one => Assert.Contains(one.Tags.ToArray(), tag => tag is { Key: "standing", Value: "waiting" }));
    }
}
