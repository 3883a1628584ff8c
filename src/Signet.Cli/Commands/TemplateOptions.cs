using System.CommandLine;
using System.CommandLine.Parsing;
using Signet.Identity.Registration;
using Signet.Identity.X509;

namespace Signet.Cli.Commands;

/// <summary>What <c>signet entry create|update</c> take of the certificate.</summary>
internal sealed class TemplateOptions
{
    public Option<string> Subject { get; } = new("--subject")
    {
        Description = "The certificate's subject, a template such as CN={path.last},O=Example; empty for the default",
        HelpName = "NAME",
    };

    public Option<string[]> Names { get; } = new("--name")
    {
        Description = "A further name for the certificate, a template: dns:NAME, ip:ADDRESS or email:ADDRESS; give it again for more",
        HelpName = "KIND:NAME",
    };

    public Option<KeyType?> KeyType { get; } = new("--key-type")
    {
        Description = "The kind of key that the workload gets: ec-p256, ec-p384, rsa-2048, rsa-4096 or ed25519 (default: the agent's)",
        HelpName = "TYPE",
        CustomParser = ReadKeyType,
    };

    public SvidTemplate Read(ParseResult parsed)
    {
        var template = new SvidTemplate
        {
            KeyType = parsed.GetValue(KeyType),
            Subject = parsed.GetValue(Subject) ?? "",
            Names = [.. (parsed.GetValue(Names) ?? []).Where(name => name.Length > 0)],
        };
        return template.IsNone ? SvidTemplate.None : template;
    }

    // An empty word takes a choice back.
    private static KeyType? ReadKeyType(ArgumentResult argument)
    {
        var text = argument.Tokens.Count == 1 ? argument.Tokens[0].Value : "";
        if (text.Length == 0)
        {
            return null;
        }

        if (KeyTypes.TryParse(text, out var keyType, out var problem))
        {
            return keyType;
        }

        argument.AddError(problem);
        return null;
    }
}
