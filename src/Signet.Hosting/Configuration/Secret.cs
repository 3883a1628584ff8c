using System.Diagnostics;
using System.Security.Cryptography;
using System.Text;

namespace Signet.Hosting.Configuration;

/// <summary>A value that must not be shown: it redacts itself in logs and debuggers, and compares in constant time. Immutable.</summary>
[DebuggerDisplay("(secret)")]
public sealed class Secret(string value) : IEquatable<Secret>
{
    [DebuggerBrowsable(DebuggerBrowsableState.Never)]
    private readonly string _value = value;

    /// <summary>The value itself. Ask for it where it is used, and nowhere else.</summary>
    public string Reveal() => _value;

    public bool Equals(Secret? other) =>
        other is not null && CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(_value), Encoding.UTF8.GetBytes(other._value));

    public override bool Equals(object? obj) => Equals(obj as Secret);

    public override int GetHashCode() => _value.GetHashCode(StringComparison.Ordinal);

    /// <summary>Always <c>(secret)</c>.</summary>
    public override string ToString() => "(secret)";
}
