using Grpc.Core;
using Signet.Agent.Sds;
using Signet.Rpc.Wire.Envoy.Discovery;
using Signet.Rpc.Wire.Envoy.Tls;

namespace Signet.UnitTests.Agent.Sds;

public sealed class StateOfTheWorldTests
{
    private readonly StateOfTheWorld _dialogue = new();

    [Fact]
    public void The_first_request_subscribes()
    {
        Assert.False(_dialogue.IsOpen);
        Assert.Equal(SdsEvent.Subscribed, Take(["default"]));
        Assert.True(_dialogue.IsOpen && _dialogue.Owes && !_dialogue.IsWildcard);
        Assert.Equal(["default"], _dialogue.Names);
    }

    [Fact]
    public void An_echoed_nonce_with_the_same_names_is_an_acknowledgement_and_nothing_follows()
    {
        Take(["default"]);
        var reply = Reply("default");
        Assert.False(_dialogue.IsSettled);
        Assert.Equal(SdsEvent.Accepted, Take(["default"], reply.Nonce, reply.VersionInfo));
        Assert.True(_dialogue.IsSettled);
        Assert.Null(_dialogue.Reply([Found("default")]));
    }

    [Fact]
    public void An_error_is_a_rejection_whatever_version_it_names_and_is_not_answered_with_the_same_again()
    {
        Take(["default"]);
        var request = Request(["default"], Reply("default").Nonce);
        request.ErrorDetail = new Signet.Rpc.Wire.GoogleRpc.Status { Code = 3, Message = "no\u001b[31m" + new string('x', 4000) };
        var reading = _dialogue.Take(request);
        Assert.Equal(SdsEvent.Rejected, reading.Event);
        Assert.StartsWith("no\\u001b[31m", reading.Problem, StringComparison.Ordinal);
        Assert.InRange(reading.Problem.Length, 200, 300);
        Assert.Null(_dialogue.Reply([Found("default")]));
        Assert.NotNull(_dialogue.Reply([Found("default", "2")]));
    }

    [Fact]
    public void An_answer_counts_once()
    {
        Take(["default"]);
        var request = Request(["default"], Reply("default").Nonce);
        request.ErrorDetail = new Signet.Rpc.Wire.GoogleRpc.Status { Message = "no" };
        Assert.Equal(SdsEvent.Rejected, _dialogue.Take(request).Event);
        Assert.Equal(SdsEvent.Stale, _dialogue.Take(request).Event);
        Assert.Equal(SdsEvent.Stale, Take(["default"], request.ResponseNonce));
    }

    [Fact]
    public void A_rejection_can_ask_for_more_in_the_same_breath()
    {
        Take(["default"]);
        var request = Request(["default", "ROOTCA"], Reply("default").Nonce);
        request.ErrorDetail = new Signet.Rpc.Wire.GoogleRpc.Status { Code = 3 };
        var reading = _dialogue.Take(request);
        Assert.Equal((SdsEvent.Rejected | SdsEvent.Subscribed, "code 3"), (reading.Event, reading.Problem));
    }

    [Fact]
    public void Another_nonce_than_the_newest_is_stale_and_changes_nothing()
    {
        Take(["default"]);
        var first = Reply("default");
        Assert.NotNull(_dialogue.Reply([Found("default", "2")]));
        Assert.Equal(SdsEvent.Stale, Take(["ROOTCA"], first.Nonce));
        Assert.Equal(["default"], _dialogue.Names);
        Assert.False(_dialogue.IsSettled);
    }

    [Fact]
    public void A_nonce_from_before_this_stream_means_nothing() => Assert.Equal(SdsEvent.Subscribed, Take(["default"], "of another stream"));

    [Fact]
    public void A_new_name_is_answered_with_and_without_a_nonce_and_a_name_less_is_not()
    {
        Take(["default"]);
        Assert.Equal(SdsEvent.Subscribed | SdsEvent.Accepted, Take(["default", "ROOTCA"], Reply("default").Nonce));
        var reply = Reply("default", "ROOTCA");
        Assert.Equal(2, reply.Resources.Count);
        Assert.Equal(SdsEvent.Accepted, Take(["ROOTCA"], reply.Nonce));
        Assert.Null(_dialogue.Reply([Found("ROOTCA")]));
        Assert.Equal(SdsEvent.Subscribed, Take(["default"]));
        Assert.Equal(["default"], _dialogue.Names);
    }

    [Fact]
    public void The_order_of_names_and_names_said_twice_mean_nothing()
    {
        Take(["a", "b"]);
        Assert.Equal(SdsEvent.Accepted, Take(["b", "a", "b"], Reply("a", "b").Nonce));
    }

    [Fact]
    public void Names_that_come_one_by_one_without_a_nonce_and_then_all_in_an_acknowledgement_are_all_served()
    {
        Take(["default"]);
        Reply("default");
        Assert.Equal(SdsEvent.Subscribed, Take(["ROOTCA"]));
        var second = Reply("ROOTCA");
        Assert.Equal(SdsEvent.Subscribed | SdsEvent.Accepted, Take(["default", "ROOTCA"], second.Nonce, second.VersionInfo));
        var both = Reply("default", "ROOTCA");
        Assert.Equal(SdsEvent.Accepted, Take(["default", "ROOTCA"], both.Nonce, both.VersionInfo));
        Assert.Null(_dialogue.Reply([Found("default"), Found("ROOTCA")]));
    }

    [Fact]
    public void An_acknowledgement_by_version_alone_is_no_question()
    {
        Take(["default"]);
        var reply = Reply("default");
        Assert.Equal(SdsEvent.Accepted, Take(["default"], version: reply.VersionInfo));
        Assert.True(_dialogue.IsSettled);
        Assert.Null(_dialogue.Reply([Found("default")]));
    }

    [Fact]
    public void The_same_question_without_nonce_and_version_is_a_question()
    {
        Take(["default"]);
        Reply("default");
        Assert.Equal(SdsEvent.Subscribed, Take(["default"]));
        Assert.NotNull(_dialogue.Reply([Found("default")]));
    }

    [Fact]
    public void No_names_at_first_are_all_names_and_later_none()
    {
        Take([]);
        Assert.True(_dialogue.IsWildcard);
        Assert.Equal(SdsEvent.Accepted, Take([], Reply("default").Nonce));
        Assert.True(_dialogue.IsWildcard);

        var named = new StateOfTheWorld();
        named.Take(Request(["default"]));
        named.Take(Request([], named.Reply([Found("default")])!.Value.Message.Nonce));
        Assert.False(named.IsWildcard);
        Assert.Empty(named.Names);
    }

    [Fact]
    public void A_version_is_the_contents_and_a_nonce_the_responses()
    {
        Take(["default"]);
        var first = Reply("default");
        Take(["default"]);
        var second = Reply("default");
        Assert.Equal(first.VersionInfo, second.VersionInfo);
        Assert.NotEqual(first.Nonce, second.Nonce);
        var third = _dialogue.Reply([Found("default", "2")])!.Value;
        Assert.NotEqual(first.VersionInfo, third.Version);
        Assert.Equal(SdsRules.TypeUrl, third.Message.TypeUrl);
    }

    [Fact]
    public void A_name_without_a_secret_is_left_out_and_said_of_itself()
    {
        Take(["default", "guess"]);
        var reply = _dialogue.Reply([Found("default"), Missing("guess")])!.Value.Message;
        Assert.Single(reply.Resources);
        var error = Assert.Single(reply.ResourceErrors);
        Assert.Equal(("guess", (int)StatusCode.NotFound, "not yours"), (error.ResourceName.Name, error.ErrorDetail.Code, error.ErrorDetail.Message));
    }

    [Fact]
    public void Nothing_goes_out_empty_and_what_comes_later_is_told()
    {
        Take(["guess", "soon"]);
        Assert.Null(_dialogue.Reply([Missing("guess"), new NamedAnswer("soon", new SecretAnswer.Pending())]));
        Assert.True(_dialogue.IsSettled);
        Assert.NotNull(_dialogue.Reply([Missing("guess"), Found("soon")]));
    }

    [Fact]
    public void A_secret_that_goes_is_not_taken_back_and_is_told_when_it_comes_again_as_another()
    {
        Take(["a", "b"]);
        Reply("a", "b");
        Assert.Null(_dialogue.Reply([Found("a"), Missing("b")]));
        Assert.NotNull(_dialogue.Reply([Found("a"), Found("b", "2")]));
    }

    [Fact]
    public void What_does_not_fit_into_a_response_is_refused_for_itself()
    {
        Take(["a", "b"]);
        var reply = _dialogue.Reply([Large("a"), Large("b")])!.Value.Message;
        Assert.Single(reply.Resources);
        Assert.Equal(("b", (int)StatusCode.ResourceExhausted), (reply.ResourceErrors[0].ResourceName.Name, reply.ResourceErrors[0].ErrorDetail.Code));
    }

    [Fact]
    public void Another_type_too_many_names_and_too_long_ones_are_no_requests()
    {
        Assert.Equal("", _dialogue.ProblemOf(Request(["default"])));
        Assert.Contains("is not served here", _dialogue.ProblemOf(new DiscoveryRequest { TypeUrl = "type.googleapis.com/envoy.config.cluster.v3.Cluster" }), StringComparison.Ordinal);
        Assert.Contains("the limit is 256", _dialogue.ProblemOf(Request([.. Enumerable.Range(0, 257).Select(i => $"{i}")])), StringComparison.Ordinal);
        Assert.Contains("longer than", _dialogue.ProblemOf(Request([new string('x', SecretName.MaxLength + 1)])), StringComparison.Ordinal);
    }

    internal static NamedAnswer Found(string name, string version = "1") => new(name, new SecretAnswer.Found(version, () => new Secret { Name = name }));

    internal static NamedAnswer Missing(string name) => new(name, new SecretAnswer.Missing(StatusCode.NotFound, "not yours"));

    internal static NamedAnswer Large(string name) =>
        new(name, new SecretAnswer.Found("1", () => new Secret { Name = name, ValidationContext = new CertificateValidationContext { TrustedCa = SecretCatalog.Inline(new string('x', 2 * 1024 * 1024)) } }));

    private DiscoveryResponse Reply(params string[] names) => _dialogue.Reply([.. names.Select(name => Found(name))])!.Value.Message;

    private SdsEvent Take(string[] names, string nonce = "", string version = "") => _dialogue.Take(Request(names, nonce, version)).Event;

    private static DiscoveryRequest Request(string[] names, string nonce = "", string version = "")
    {
        var request = new DiscoveryRequest { ResponseNonce = nonce, VersionInfo = version };
        request.ResourceNames.AddRange(names);
        return request;
    }
}
