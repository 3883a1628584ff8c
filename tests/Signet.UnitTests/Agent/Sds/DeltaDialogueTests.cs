using Signet.Agent.Sds;
using Signet.Rpc.Wire.Envoy.Discovery;

namespace Signet.UnitTests.Agent.Sds;

public sealed class DeltaDialogueTests
{
    private readonly DeltaDialogue _dialogue = new();

    [Fact]
    public void What_is_subscribed_is_told_once_and_then_only_what_differs()
    {
        Assert.Equal(SdsEvent.Subscribed, Subscribe("a", "b"));
        var first = Reply(Found("a"), Found("b"))!;
        Assert.Equal(["a", "b"], first.Resources.Select(resource => resource.Name));
        Assert.Equal("1", first.Resources[0].Version);
        Assert.Equal(SdsEvent.Accepted, Answer(first).Event);
        Assert.Null(Reply(Found("a"), Found("b")));
        Assert.Equal(["b"], Reply(Found("a"), Found("b", "2"))!.Resources.Select(resource => resource.Name));
    }

    [Fact]
    public void A_rejected_version_is_not_told_again_but_the_next_one_is()
    {
        Subscribe("a");
        var reading = Answer(Reply(Found("a"))!, "bad key");
        Assert.Equal((SdsEvent.Rejected, "bad key"), (reading.Event, reading.Problem));
        Assert.True(_dialogue.IsSettled);
        Assert.Null(Reply(Found("a")));
        Assert.NotNull(Reply(Found("a", "2")));
    }

    [Fact]
    public void An_answer_counts_once()
    {
        Subscribe("a");
        var first = Reply(Found("a"))!;
        Assert.Equal(SdsEvent.Rejected, Answer(first, "no").Event);
        Assert.Equal(SdsEvent.Stale, Answer(first, "no").Event);
        Assert.Equal(SdsEvent.Stale, Answer(first).Event);
    }

    [Fact]
    public void A_stale_answer_settles_nothing_but_what_it_asks_for_counts()
    {
        Subscribe("a");
        var first = Reply(Found("a"))!;
        Reply(Found("a", "2"));
        var stale = new DeltaDiscoveryRequest { ResponseNonce = first.Nonce };
        stale.ResourceNamesSubscribe.Add("b");
        Assert.Equal(SdsEvent.Subscribed, _dialogue.Take(stale).Event);
        Assert.False(_dialogue.IsSettled);
        Assert.Equal(["b"], Reply(Found("a", "2"), Found("b"))!.Resources.Select(resource => resource.Name));
    }

    [Fact]
    public void A_name_without_a_secret_is_reported_as_removed_once_and_told_when_it_comes()
    {
        Subscribe("default", "guess");
        var first = Reply(Found("default"), Missing("guess"))!;
        Assert.Equal(["guess"], first.RemovedResources);
        Assert.Equal("not yours", Assert.Single(first.ResourceErrors).ErrorDetail.Message);
        Answer(first);
        Assert.Null(Reply(Found("default"), Missing("guess")));
        Assert.Equal(["guess"], Reply(Found("default"), Found("guess"))!.Resources.Select(resource => resource.Name));
    }

    [Fact]
    public void A_name_that_is_about_to_come_is_not_reported()
    {
        Subscribe("soon");
        Assert.Null(Reply(new NamedAnswer("soon", new SecretAnswer.Pending())));
        Assert.NotNull(Reply(Found("soon")));
    }

    [Fact]
    public void What_goes_away_is_removed()
    {
        Subscribe("a");
        Answer(Reply(Found("a"))!);
        Assert.Equal(["a"], Reply(Missing("a"))!.RemovedResources);
    }

    [Fact]
    public void Asked_for_again_it_is_told_again()
    {
        Subscribe("a");
        Answer(Reply(Found("a"))!);
        Subscribe("a");
        Assert.NotNull(Reply(Found("a")));
    }

    [Fact]
    public void What_is_no_longer_subscribed_is_neither_told_nor_removed()
    {
        Subscribe("a", "b");
        Answer(Reply(Found("a"), Found("b"))!);
        var request = new DeltaDiscoveryRequest();
        request.ResourceNamesUnsubscribe.Add("b");
        Assert.Equal(SdsEvent.Stale, _dialogue.Take(request).Event);
        Assert.Equal(["a"], _dialogue.Names);
        Assert.Null(Reply(Found("a")));
    }

    [Fact]
    public void A_client_that_comes_back_is_told_only_what_changed_meanwhile()
    {
        var request = new DeltaDiscoveryRequest { InitialResourceVersions = { ["a"] = "1", ["b"] = "1" } };
        request.ResourceNamesSubscribe.AddRange(["a", "b"]);
        _dialogue.Take(request);
        Assert.Equal(["b"], Reply(Found("a"), Found("b", "2"))!.Resources.Select(resource => resource.Name));
    }

    [Fact]
    public void No_names_at_first_are_all_names_and_one_that_is_gone_is_removed()
    {
        Subscribe();
        Assert.True(_dialogue.IsWildcard);
        Answer(Reply(Found("spiffe://example.org/a"), Found("ROOTCA"))!);
        Assert.Equal(["spiffe://example.org/a"], Reply(Found("ROOTCA"))!.RemovedResources);
        Assert.Null(Reply(Found("ROOTCA")));
    }

    [Fact]
    public void All_names_can_be_asked_for_by_a_star_and_given_up()
    {
        Subscribe("a");
        Assert.False(_dialogue.IsWildcard);
        Subscribe("*");
        Assert.True(_dialogue.IsWildcard);
        Answer(Reply(Found("a"), Found("ROOTCA"))!);
        var request = new DeltaDiscoveryRequest();
        request.ResourceNamesUnsubscribe.Add("*");
        _dialogue.Take(request);
        Assert.False(_dialogue.IsWildcard);
        Assert.Null(Reply(Found("a")));
    }

    [Fact]
    public void What_does_not_fit_comes_with_the_next_response()
    {
        Subscribe("a", "b");
        var first = Reply(StateOfTheWorldTests.Large("a"), StateOfTheWorldTests.Large("b"))!;
        Assert.Equal(["a"], first.Resources.Select(resource => resource.Name));
        Answer(first);
        Assert.Equal(["b"], Reply(StateOfTheWorldTests.Large("a"), StateOfTheWorldTests.Large("b"))!.Resources.Select(resource => resource.Name));
    }

    [Fact]
    public void A_stream_has_no_more_names_than_its_limit_however_they_come()
    {
        Subscribe([.. Enumerable.Range(0, 200).Select(i => $"{i}")]);
        var more = new DeltaDiscoveryRequest();
        more.ResourceNamesSubscribe.AddRange(Enumerable.Range(100, 156).Select(i => $"{i}"));
        Assert.Equal("", _dialogue.ProblemOf(more));
        more.ResourceNamesSubscribe.Add("one more");
        Assert.Contains("more than 256 names on one stream", _dialogue.ProblemOf(more), StringComparison.Ordinal);
    }

    private SdsEvent Subscribe(params string[] names)
    {
        var request = new DeltaDiscoveryRequest();
        request.ResourceNamesSubscribe.AddRange(names);
        return _dialogue.Take(request).Event;
    }

    private SdsReading Answer(DeltaDiscoveryResponse response, string? error = null) => _dialogue.Take(new DeltaDiscoveryRequest
    {
        ResponseNonce = response.Nonce,
        ErrorDetail = error is null ? null : new Signet.Rpc.Wire.GoogleRpc.Status { Message = error },
    });

    private DeltaDiscoveryResponse? Reply(params NamedAnswer[] answers) => _dialogue.Reply(answers)?.Message;

    private static NamedAnswer Found(string name, string version = "1") => StateOfTheWorldTests.Found(name, version);

    private static NamedAnswer Missing(string name) => StateOfTheWorldTests.Missing(name);
}
