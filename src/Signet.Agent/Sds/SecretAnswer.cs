using Grpc.Core;
using Signet.Rpc.Wire.Envoy.Tls;

namespace Signet.Agent.Sds;

/// <summary>What there is under a name, for one workload at one moment.</summary>
internal abstract record SecretAnswer
{
    private SecretAnswer()
    {
    }

    /// <summary>A secret.</summary>
    /// <param name="Version">Differs exactly when the content does. Tells nothing of it.</param>
    /// <param name="Make">Makes the message.</param>
    internal sealed record Found(string Version, Func<Secret> Make) : SecretAnswer;

    /// <summary>It is about to come: nothing is said of it yet.</summary>
    internal sealed record Pending : SecretAnswer;

    /// <summary>It is not for this workload, whether or not somebody else has it.</summary>
    internal sealed record Missing(StatusCode Code, string Reason) : SecretAnswer;
}

/// <summary>A name and what there is under it.</summary>
internal readonly record struct NamedAnswer(string Name, SecretAnswer Answer);
