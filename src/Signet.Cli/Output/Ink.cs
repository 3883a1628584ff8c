namespace Signet.Cli.Output;

/// <summary>What a piece of text says by its colour.</summary>
public enum Tone
{
    Plain,

    /// <summary>As it should be.</summary>
    Good,

    /// <summary>Worth a look.</summary>
    Warning,

    /// <summary>Wrong, refused.</summary>
    Bad,

    /// <summary>The thing itself, a heading.</summary>
    Strong,

    /// <summary>Less important.</summary>
    Faint,
}

/// <summary>Colours text for a terminal, and leaves it alone for everything else. Colour never carries what the words don't say.</summary>
public sealed class Ink
{
    private readonly bool _colours;

    private Ink(bool colours) => _colours = colours;

    /// <summary>No colour.</summary>
    public static Ink None { get; } = new(colours: false);

    /// <summary>Colour on a terminal, unless <c>NO_COLOR</c> is set to anything or <c>TERM</c> is <c>dumb</c> (no-color.org).</summary>
    public static Ink For(bool isTerminal, Func<string, string?> environment) =>
        isTerminal && string.IsNullOrEmpty(environment("NO_COLOR")) && environment("TERM") != "dumb" ? new Ink(colours: true) : None;

    /// <summary>The text in a tone.</summary>
    public string Of(string text, Tone tone)
    {
        var code = tone switch
        {
            Tone.Good => "32",
            Tone.Warning => "33",
            Tone.Bad => "31",
            Tone.Strong => "1",
            Tone.Faint => "2",
            _ => "",
        };
        return _colours && code.Length > 0 ? $"\e[{code}m{text}\e[0m" : text;
    }
}
