using Signet.Cli.Output;

namespace Signet.Cli.Demo;

/// <summary>What the person in front of the demo sees: numbered steps, evidence, and whether each held.</summary>
/// <param name="output">Where it is told.</param>
/// <param name="ink">Colour, if <paramref name="output"/> takes any.</param>
/// <param name="pause">Called before each step but the first, for somebody who wants to read.</param>
internal sealed class DemoStage(TextWriter output, Ink ink, Action pause)
{
    private const int NameWidth = 16;

    private int _step;

    /// <summary>How many claims held so far.</summary>
    public int Held { get; private set; }

    public void Say(string text) => output.WriteLine(text);

    public void Step(string title)
    {
        if (_step > 0)
        {
            pause();
        }

        output.WriteLine();
        output.WriteLine(ink.Of($"{++_step}. {title}", Tone.Strong));
    }

    /// <summary>A fact that was seen, or a line as it stands in somebody's log.</summary>
    public void Evidence(string name, string value) => output.WriteLine($"   {ink.Of(name.PadRight(NameWidth), Tone.Faint)}{value}");

    /// <summary>Tells that something held, or ends the demo with what was seen instead.</summary>
    /// <exception cref="DemoException">It did not hold.</exception>
    public void Require(bool held, string what, string seen = "")
    {
        if (!held)
        {
            output.WriteLine($"   {ink.Of($"✗ {what}", Tone.Bad)}");
            throw new DemoException(seen.Length > 0 ? $"{what}: {seen}" : what);
        }

        Held++;
        output.WriteLine($"   {ink.Of("✓", Tone.Good)} {what}");
    }
}
