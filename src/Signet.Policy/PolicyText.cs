using System.Text;

namespace Signet.Policy;

/// <summary>A policy file: its name, for messages and for replacing it later, and its YAML text.</summary>
public sealed record PolicyText(string Name, string Text)
{
    /// <summary>The longest text that is read, in characters.</summary>
    public const int MaxLength = 16 * 1024 * 1024;

    private static readonly UTF8Encoding Strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <summary>Why there is no text, or null. A text with a problem is in a set what a text full of mistakes is: a denial.</summary>
    public PolicyProblem? Problem { get; private init; }

    /// <summary>Decodes a file's bytes. What is not UTF-8, or too long, gives a text with a problem that names the line of the first bad byte.</summary>
    public static PolicyText Decode(string name, ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length > MaxLength)
        {
            return Bad(name, 1, PolicyCodes.TooLarge, $"the file has more than {MaxLength} bytes", "split it into several files");
        }

        if (bytes.StartsWith(Encoding.UTF8.Preamble))
        {
            bytes = bytes[3..];
        }

        try
        {
            return new PolicyText(name, Strict.GetString(bytes));
        }
        catch (DecoderFallbackException bad)
        {
            var line = 1 + bytes[..Math.Clamp(bad.Index, 0, bytes.Length)].Count((byte)'\n');
            return Bad(name, line, PolicyCodes.BadYaml, "the file is not UTF-8 text", "save it as UTF-8");
        }
    }

    private static PolicyText Bad(string name, int line, string code, string message, string hint) =>
        new(name, "") { Problem = new PolicyProblem(name, line, code, PolicySeverity.Error, message, hint) };
}
