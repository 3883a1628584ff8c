namespace Signet.FunctionalTests.Hosting;

/// <summary>Tests that watch files run one after the other: one of them sends the process a SIGHUP, which every watch in it hears.</summary>
[CollectionDefinition(Collection)]
public sealed class Hangup
{
    public const string Collection = "hangup";
}
