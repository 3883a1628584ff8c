using System.Security.Cryptography;
using Signet.Identity.Registration;
using Signet.Identity.X509;

namespace Signet.Agent.Identities;

/// <summary>Which kind of key a workload gets: its entry's word, or else this agent's. A renewal asks again, so it keeps the kind.</summary>
/// <param name="Usual">For entries that say nothing.</param>
internal sealed record SvidKeys(KeyType Usual)
{
    /// <summary>What one request may take to prepare, in keys of elliptic curves; the server takes no more of them.</summary>
    private const int MostWork = 200;

    public KeyType TypeFor(RegistrationEntry entry) => entry.Template.KeyType ?? Usual;

    /// <summary>The first of those that are due: so many that their keys are made in a moment, and nobody waits for all.</summary>
    public RegistrationEntry[] Batch(IEnumerable<RegistrationEntry> due)
    {
        var work = 0;
        return [.. due.TakeWhile(entry => (work += WorkOf(TypeFor(entry))) <= MostWork)];
    }

    // RSA keys are searched for: about 50 ms of a core, and a second.
    private static int WorkOf(KeyType keyType) => keyType switch
    {
        KeyType.Rsa2048 => 20,
        KeyType.Rsa4096 => 100,
        _ => 1,
    };

    /// <summary>Makes a key; null when this node cannot, with the reason.</summary>
    public AsymmetricAlgorithm? TryMake(RegistrationEntry entry, out string problem)
    {
        problem = KeyPair.ProblemOf(TypeFor(entry));
        return problem.Length == 0 ? KeyPair.Generate(TypeFor(entry)) : null;
    }
}
