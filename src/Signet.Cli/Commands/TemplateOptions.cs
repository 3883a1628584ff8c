using System.CommandLine;
using Signet.Identity.Registration;
using Signet.Identity.X509;

namespace Signet.Cli.Commands;

/// <summary>What <c>signet entry create|update</c> take of the certificate. An empty word takes a choice back.</summary>
internal sealed class TemplateOptions
{
    public TemplateOptions() => KeyType.Validators.Add(result =>
    {
        if (result.GetValueOrDefault<string>() is { Length: > 0 } name && !KeyTypes.TryParse(name, out _, out var problem))
        {
            result.AddError(problem);
        }
    });

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

    public Option<string> KeyType { get; } = new("--key-type")
    {
        Description = "The kind of key that the workload gets: ec-p256, ec-p384, rsa-2048, rsa-4096 or ed25519 (default: the agent's)",
        HelpName = "TYPE",
    };

    public SvidTemplate Read(ParseResult parsed)
    {
        var template = new SvidTemplate
        {
            KeyType = KeyTypes.TryParse(parsed.GetValue(KeyType), out var keyType, out _) ? keyType : null,
            Subject = parsed.GetValue(Subject) ?? "",
            Names = [.. (parsed.GetValue(Names) ?? []).Where(name => name.Length > 0)],
        };
        return template.IsNone ? SvidTemplate.None : template;
    }
}
