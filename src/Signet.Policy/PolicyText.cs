using System.Text;

namespace Signet.Policy;

/// <summary>A policy file: its name, for messages and for replacing it later, and its YAML text.</summary>
public sealed record PolicyText(string Name, string Text)
{
    /// <summary>The longest text that is read, in characters.</summary>
    public const int MaxLength = 16 * 1024 * 1024;

    private static readonly UTF8Encoding Strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <summary>Decodes a file's bytes; refuses what is not UTF-8 and what is too long, naming the line of the first bad byte.</summary>
    public static bool TryDecode(string name, ReadOnlySpan<byte> bytes, out PolicyText text, out PolicyProblem? problem)
    {
        text = new PolicyText(name, "");
        problem = null;
        if (bytes.Length > MaxLength)
        {
            problem = new PolicyProblem(name, 1, PolicyCodes.TooLarge, PolicySeverity.Error, $"the file has {bytes.Length} bytes; the limit is {MaxLength}", "split it into several files");
            return false;
        }

        if (bytes.StartsWith(Encoding.UTF8.Preamble))
        {
            bytes = bytes[3..];
        }

        try
        {
            text = new PolicyText(name, Strict.GetString(bytes));
            return true;
        }
        catch (DecoderFallbackException bad)
        {
            var line = 1 + bytes[..Math.Clamp(bad.Index, 0, bytes.Length)].Count((byte)'\n');
            problem = new PolicyProblem(name, line, PolicyCodes.BadYaml, PolicySeverity.Error, "the file is not UTF-8 text", "save it as UTF-8");
            return false;
        }
    }
}
