using FsCheck;
using FsCheck.Fluent;
using Grpc.Core;
using Signet.Agent.Sds;
using Signet.Rpc.Wire.Envoy.Discovery;
using Signet.Rpc.Wire.Envoy.Tls;

namespace Signet.UnitTests.Agent.Sds;

/// <summary>Whatever a client says in whatever order.</summary>
public sealed class SdsDialoguePropertyTests
{
    private static readonly string[] Names = ["default", "ROOTCA", "ALL", "spiffe://example.org/a", "guess", "*"];

    /// <summary>A step: what is asked for, which nonce is echoed (0 none, 1 the newest, 2 an old one), whether it is an error, and what the world holds.</summary>
    private static readonly Arbitrary<(int Names, int Other, int Nonce, bool IsError, int World)[]> Steps = (
        from names in Gen.Choose(0, (1 << Names.Length) - 1)
        from other in Gen.Choose(0, (1 << Names.Length) - 1)
        from nonce in Gen.Choose(0, 2)
        from error in Gen.Elements(true, false)
        from world in Gen.Choose(0, 30)
        select (names, other, nonce, error, world)).ArrayOf().ToArbitrary();

    [Fact]
    public void State_of_the_world_says_nothing_empty_and_nothing_twice() => Prop.ForAll(Steps, steps =>
    {
        var dialogue = new StateOfTheWorld();
        var nonces = new List<string>();
        foreach (var step in steps)
        {
            var request = new DiscoveryRequest { ResponseNonce = NonceOf(step.Nonce, nonces), ErrorDetail = step.IsError ? new Signet.Rpc.Wire.GoogleRpc.Status() : null };
            request.ResourceNames.AddRange(Chosen(step.Names));
            Assert.Equal("", dialogue.ProblemOf(request));
            dialogue.Take(request);
            if (dialogue.Reply(World(dialogue, step.World)) is { } reply)
            {
                Assert.NotEmpty(reply.Message.Resources);
                Assert.DoesNotContain(reply.Message.Nonce, nonces);
                Assert.False(dialogue.IsSettled);
                nonces.Add(reply.Message.Nonce);
            }

            Assert.Null(dialogue.Reply(World(dialogue, step.World)));
        }
    }).QuickCheckThrowOnFailure();

    [Fact]
    public void Increments_leave_the_client_with_what_there_is() => Prop.ForAll(Steps, steps =>
    {
        var dialogue = new DeltaDialogue();
        var nonces = new List<string>();
        var client = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var step in steps)
        {
            var request = new DeltaDiscoveryRequest { ResponseNonce = NonceOf(step.Nonce, nonces), ErrorDetail = step.IsError ? new Signet.Rpc.Wire.GoogleRpc.Status() : null };
            request.ResourceNamesSubscribe.AddRange(Chosen(step.Names & ~step.Other));
            request.ResourceNamesUnsubscribe.AddRange(Chosen(step.Other));
            dialogue.Take(request);
            foreach (var gone in request.ResourceNamesUnsubscribe)
            {
                client.Remove(gone);
            }

            var world = World(dialogue, step.World);
            if (dialogue.Reply(world) is { } reply)
            {
                Assert.True(reply.Message.Resources.Count + reply.Message.RemovedResources.Count > 0);
                nonces.Add(reply.Message.Nonce);
                foreach (var resource in reply.Message.Resources)
                {
                    client[resource.Name] = resource.Version;
                }

                foreach (var removed in reply.Message.RemovedResources)
                {
                    client.Remove(removed);
                }
            }

            Assert.Null(dialogue.Reply(world));
            Assert.All(world, named => Assert.Equal((named.Answer as SecretAnswer.Found)?.Version, client.GetValueOrDefault(named.Name)));
        }
    }).QuickCheckThrowOnFailure();

    [Fact]
    public void No_text_as_a_name_is_more_than_refused() => Prop.ForAll<string>(text =>
    {
        if (text is not null)
        {
            Assert.NotNull(SecretName.Of(text));
            Assert.NotNull(SecretName.Of("file-cert:" + text));
            Assert.True(SecretName.Of("file-root:" + text) is SecretName.FileRoots or SecretName.Unknown);
        }
    }).QuickCheckThrowOnFailure();

    private static IEnumerable<string> Chosen(int bits) => Names.Where((_, i) => (bits & (1 << i)) != 0);

    private static string NonceOf(int kind, List<string> nonces) => kind == 0 || nonces.Count == 0 ? "" : kind == 1 ? nonces[^1] : nonces[0];

    /// <summary>The same number, the same world: some names have a secret of some version, the guess never.</summary>
    private static List<NamedAnswer> World<TRequest, TResponse>(ISdsDialogue<TRequest, TResponse> dialogue, int number)
        where TResponse : class
    {
        var names = dialogue.IsWildcard ? dialogue.Names.Union(["ROOTCA", "ALL"], StringComparer.Ordinal) : dialogue.Names;
        return [.. names.Select(name => new NamedAnswer(name, name == "guess" || (number + name.Length) % 5 == 0
            ? new SecretAnswer.Missing(StatusCode.NotFound, "no")
            : new SecretAnswer.Found($"{number % 3}", () => new Secret { Name = name })))];
    }
}
