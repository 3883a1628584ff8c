using Spectre.Console;

namespace Signet.Cli.Demo;

/// <summary>What the person in front of the demo sees: numbered steps, evidence, and whether each held.</summary>
internal sealed class DemoStage(IAnsiConsole console, bool waitForKey)
{
    private int _step;

    public int Held { get; private set; }

    public void Say(string text) => console.WriteLine(text);

    public void Step(string title)
    {
        if (waitForKey && _step > 0)
        {
            console.Markup("[grey]  press a key for the next step …[/]");
            console.Input.ReadKey(intercept: true);
            console.WriteLine();
        }

        console.WriteLine();
        console.MarkupLine($"[bold]{++_step}. {title.EscapeMarkup()}[/]");
    }

    /// <summary>A fact that was seen.</summary>
    public void Evidence(string name, string value) => console.MarkupLine($"   [grey]{name.EscapeMarkup(),-12}[/] {value.EscapeMarkup()}");

    /// <summary>A line as it stands in somebody's log.</summary>
    public void Quote(string source, string line) => console.MarkupLine($"   [grey]{source.EscapeMarkup(),-12}[/] [italic]{line.EscapeMarkup()}[/]");

    /// <summary>Tells that something held, or ends the demo with what was seen instead.</summary>
    /// <exception cref="DemoException">It did not hold.</exception>
    public void Require(bool held, string what, string seen = "")
    {
        if (!held)
        {
            console.MarkupLine($"   [red]✗ {what.EscapeMarkup()}[/]");
            throw new DemoException(seen.Length > 0 ? $"{what}: {seen}" : what);
        }

        Held++;
        console.MarkupLine($"   [green]✓[/] {what.EscapeMarkup()}");
    }
}
