using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using Google.Protobuf;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Rpc.Wire.Node;
using Signet.Rpc.Wire.Spire.Server.Agent;
using Signet.Rpc.Wire.Spire.Server.Bundle;
using Signet.Rpc.Wire.Spire.Server.Entry;
using Signet.Rpc.Wire.Spire.Server.SVID;
using Signet.Rpc.Wire.Spire.Types;
using Signet.Testing;
using AgentApi = Signet.Rpc.Wire.Spire.Server.Agent.Agent;
using BundleApi = Signet.Rpc.Wire.Spire.Server.Bundle.Bundle;
using EntryApi = Signet.Rpc.Wire.Spire.Server.Entry.Entry;

namespace Signet.FunctionalTests.Server;

/// <summary>What calls cost the database, by the server's own instrument.</summary>
public sealed class StoreReadTests
{
    private readonly CancellationToken _patience = new CancellationTokenSource(TimeSpan.FromMinutes(2)).Token;

    [Fact]
    public async Task No_call_of_an_attested_agent_reads_the_store_and_the_instrument_sees_those_that_do()
    {
        await using var domain = await TestTrustDomain.StartAsync();
        await Eventually.IsTrueAsync(() => domain.AgentHost.Readiness.IsReady, "the agent, which has joined by then");
        var visits = new ConcurrentDictionary<(string Method, string Kind), long>();
        using var listener = new MeterListener
        {
            InstrumentPublished = (instrument, self) =>
            {
                if (instrument.Name == "signet.server.store.transactions" && instrument.Meter.Scope == domain.ServerHost.Store)
                {
                    self.EnableMeasurementEvents(instrument);
                }
            },
        };
        listener.SetMeasurementEventCallback<long>((_, value, tags, _) => visits.AddOrUpdate((Tag(tags, "method"), Tag(tags, "kind")), value, (_, before) => before + value));
        listener.Start();

        using var agent = await ForeignAgent.JoinAsync(domain, _patience);
        using var admin = domain.Admin();
        var entry = await admin.CreateEntryAsync(new RegistrationEntry { Id = "", SpiffeId = SpiffeId.Of(TestTrustDomain.Name, "/web"), ParentId = agent.Id, Selectors = [TestTrustDomain.Myself] }, _patience);

        // Every method that agents may call, and the stream of a Signet agent.
        var csr = ByteString.CopyFrom(SigningRequest.Create(KeyPair.Generate(KeyType.EcP256)));
        using var channel = agent.Open();
        await new BundleApi.BundleClient(channel).GetBundleAsync(new GetBundleRequest(), cancellationToken: _patience);
        await new EntryApi.EntryClient(channel).GetAuthorizedEntriesAsync(new GetAuthorizedEntriesRequest(), cancellationToken: _patience);
        using (var sync = new EntryApi.EntryClient(channel).SyncAuthorizedEntries(cancellationToken: _patience))
        {
            await sync.RequestStream.WriteAsync(new SyncAuthorizedEntriesRequest(), _patience);
            Assert.True(await sync.ResponseStream.MoveNext(_patience));
        }

        await new AgentApi.AgentClient(channel).PostStatusAsync(new PostStatusRequest(), cancellationToken: _patience);
        await new SVID.SVIDClient(channel).BatchNewX509SVIDAsync(new BatchNewX509SVIDRequest { Params = { new NewX509SVIDParams { EntryId = entry.Id, Csr = csr } } }, cancellationToken: _patience);
        await new SVID.SVIDClient(channel).NewJWTSVIDAsync(new NewJWTSVIDRequest { EntryId = entry.Id, Audience = { "a" } }, cancellationToken: _patience);
        using (var watch = new Node.NodeClient(channel).Watch(cancellationToken: _patience))
        {
            Assert.True(await watch.ResponseStream.MoveNext(_patience));
        }

        await new Node.NodeClient(channel).StapleAsync(
            new StapleRequest { Certificates = { new StapleRequest.Types.Certificate { Serial = "4a", IssuerSerial = agent.Issuers[0].SerialHex } } }, cancellationToken: _patience);
        await new AgentApi.AgentClient(channel).RenewAgentAsync(new RenewAgentRequest { Params = new AgentX509SVIDParams { Csr = csr } }, cancellationToken: _patience);

        // What is issued is remembered before it is handed out, so those calls write; nothing is read. Joining reads its token.
        string[] operators = ["/spire.api.server.agent.v1.Agent/AttestAgent", "/spire.api.server.agent.v1.Agent/CreateJoinToken"];
        Assert.DoesNotContain(visits.Keys, visit => visit.Kind == "read" && visit.Method.StartsWith('/') && !operators.Contains(visit.Method));
        Assert.Equal(1, visits[("/spire.api.server.agent.v1.Agent/AttestAgent", "read")]);
        Assert.Equal(1, visits[("/spire.api.server.svid.v1.SVID/BatchNewX509SVID", "write")]);
        Assert.Equal(1, visits[("/spire.api.server.entry.v1.Entry/BatchCreateEntry", "write")]);
        foreach (var silent in new[] { "bundle.v1.Bundle/GetBundle", "entry.v1.Entry/GetAuthorizedEntries", "entry.v1.Entry/SyncAuthorizedEntries", "agent.v1.Agent/PostStatus", "svid.v1.SVID/NewJWTSVID", "node.v1.Node/Staple" })
        {
            Assert.DoesNotContain(visits.Keys, visit => visit.Method.EndsWith(silent, StringComparison.Ordinal));
        }
    }

    private static string Tag(ReadOnlySpan<KeyValuePair<string, object?>> tags, string name)
    {
        foreach (var tag in tags)
        {
            if (tag.Key == name)
            {
                return (string)tag.Value!;
            }
        }

        return "";
    }
}
