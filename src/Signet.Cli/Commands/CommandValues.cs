using System.CommandLine;
using System.CommandLine.Parsing;
using Signet.Hosting.Configuration;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;

namespace Signet.Cli.Commands;

/// <summary>Options whose text is checked while the command line is read, so that a mistake is a usage error with its reason.</summary>
internal static class CommandValues
{
    /// <summary>Reads a text, or says what is wrong with it.</summary>
    public delegate bool Parser<T>(string text, out T? value, out string problem);

    public static Option<SpiffeId?> SpiffeId(string name, string description, bool required = false) =>
        One<SpiffeId>(name, description, "ID", Identity.Spiffe.SpiffeId.TryParse, required);

    public static Option<T?> Parsed<T>(string name, string description, string help, Parser<T> parse)
        where T : class => One(name, description, help, parse, required: false);

    /// <summary>A trust domain as an argument, by its bare name or as a URI.</summary>
    public static Argument<TrustDomain?> TrustDomain(string name, string description, bool required = true) => new(name)
    {
        Description = description,
        Arity = required ? ArgumentArity.ExactlyOne : ArgumentArity.ZeroOrOne,
        CustomParser = result =>
        {
            if (result.Tokens.Count == 0)
            {
                return null;
            }

            if (Identity.Spiffe.TrustDomain.TryParse(result.Tokens[0].Value, out var value, out var problem))
            {
                return value;
            }

            result.AddError($"{name}: {problem}");
            return null;
        },
    };

    /// <summary>Trust domains as an option that may be given again.</summary>
    public static Option<TrustDomain[]> TrustDomains(string name, string description) => new(name)
    {
        Description = description,
        HelpName = "NAME",
        CustomParser = result =>
        {
            var read = new List<TrustDomain>();
            foreach (var token in result.Tokens)
            {
                if (Identity.Spiffe.TrustDomain.TryParse(token.Value, out var value, out var problem))
                {
                    read.Add(value);
                }
                else
                {
                    result.AddError($"{name}: {problem}");
                }
            }

            return [.. read];
        },
    };

    public static Option<TimeSpan?> Duration(string name, string description) => new(name)
    {
        Description = description,
        HelpName = "DURATION",
        CustomParser = result =>
        {
            if (DurationText.TryParse(result.Tokens[0].Value, out var duration, out var problem))
            {
                return duration;
            }

            result.AddError($"{name}: {problem}");
            return null;
        },
    };

    public static Option<Selector[]> Selectors(string name, bool required = true) => new(name)
    {
        Description = "A fact that the workload must have, as TYPE:KEY:VALUE; give it again for more",
        HelpName = "SELECTOR",
        Arity = ArgumentArity.OneOrMore,
        Required = required,
        CustomParser = result => [.. result.Tokens.Select(token => Read(result, token.Value))],
    };

    private static Selector Read(ArgumentResult result, string text)
    {
        if (!Selector.TryParse(text, out var selector, out var problem))
        {
            result.AddError($"--selector: {problem}");
        }

        return selector;
    }

    private static Option<T?> One<T>(string name, string description, string help, Parser<T> parse, bool required)
        where T : class => new(name)
        {
            Description = description,
            HelpName = help,
            Required = required,
            CustomParser = result =>
            {
                if (parse(result.Tokens[0].Value, out var value, out var problem))
                {
                    return value;
                }

                result.AddError($"{name}: {problem}");
                return null;
            },
        };
}
