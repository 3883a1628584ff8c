using System.Security.Cryptography;
using Signet.Identity.Registration;
using Signet.Identity.X509;

namespace Signet.Agent.Identities;

/// <summary>Which kind of key a workload gets: its entry's word, or else this agent's. A renewal asks again, so it keeps the kind.</summary>
/// <param name="Usual">For entries that say nothing.</param>
internal sealed record SvidKeys(KeyType Usual)
{
    public KeyType TypeFor(RegistrationEntry entry) => entry.Template.KeyType ?? Usual;

    /// <summary>Makes a key; null when this node cannot, with the reason.</summary>
    public AsymmetricAlgorithm? TryMake(RegistrationEntry entry, out string problem)
    {
        problem = KeyPair.ProblemOf(TypeFor(entry));
        return problem.Length == 0 ? KeyPair.Generate(TypeFor(entry)) : null;
    }
}
