using System.Globalization;
using System.Net;
using System.Text.RegularExpressions;
using Signet.Hosting.Configuration;
using Signet.Identity.Spiffe;

namespace Signet.Server.Attestation;

/// <summary>Which hosts may prove themselves by answering on a port.</summary>
public sealed record HttpChallengeConfig
{
    private const int HttpPort = 80;

    /// <summary>On ports below this, only the host's administrator listens.</summary>
    private const int FirstFreePort = 1024;

    private const int MaxPatternLength = 1000;

    /// <summary>Of which one must fit the whole host name.</summary>
    public required IReadOnlyList<Regex> AllowedDnsPatterns { get; init; }

    /// <summary>The only port that is asked; null for any.</summary>
    public int? Port { get; init; } = HttpPort;

    /// <summary>Whether only a host's first attestation counts.</summary>
    public bool Tofu { get; init; } = true;

    /// <summary>Networks that may be asked although they are not public.</summary>
    public IReadOnlyList<IPNetwork> AllowedNetworks { get; init; } = [];

    /// <summary>A pattern that fits whole names only and takes time in proportion to the name.</summary>
    public static bool TryReadPattern(string text, out Regex pattern, out string problem)
    {
        (pattern, problem) = (new Regex("(?!)"), "");
        try
        {
            pattern = text.Length is > 0 and <= MaxPatternLength
                ? new Regex($@"\A(?:{text})\z", RegexOptions.NonBacktracking | RegexOptions.CultureInvariant)
                : throw new ArgumentException($"it has {text.Length} characters; 1 to {MaxPatternLength} were expected");
        }
        catch (Exception e) when (e is ArgumentException or NotSupportedException)
        {
            problem = $"\"{Printable.Of(text)}\" is not a regular expression that can be used: {e.Message}";
        }

        return problem.Length == 0;
    }

    internal static HttpChallengeConfig Read(ConfigSection section)
    {
        var patterns = new List<Regex>();
        foreach (var text in section.Texts("allowedDnsPatterns"))
        {
            if (TryReadPattern(text, out var pattern, out var problem))
            {
                patterns.Add(pattern);
            }
            else
            {
                section.Problem("allowedDnsPatterns", problem);
            }
        }

        if (section.Shape("allowedDnsPatterns") == ConfigShape.Absent)
        {
            section.Problem("allowedDnsPatterns", @"is missing; write the host names of nodes as regular expressions, such as ['node-[0-9]+\.example\.org']");
        }

        var networks = new List<IPNetwork>();
        foreach (var text in section.Texts("allowedNetworks"))
        {
            if (IPNetwork.TryParse(text, out var network))
            {
                networks.Add(network);
            }
            else
            {
                section.Problem("allowedNetworks", $"\"{Printable.Of(text)}\" is not a network; write it as 10.0.0.0/8");
            }
        }

        var config = new HttpChallengeConfig
        {
            AllowedDnsPatterns = patterns,
            AllowedNetworks = networks,
            Port = ReadPort(section),
            Tofu = section.Flag("tofu", true),
        };
        if (config is { Tofu: false, Port: null or >= FirstFreePort })
        {
            section.Problem("tofu", $"can be false only with a port below {FirstFreePort}: on others every user of a host could prove to be the node, at any time");
        }

        return config;
    }

    private static int? ReadPort(ConfigSection section)
    {
        var text = section.Text("port");
        if (text is null or "any")
        {
            return text is null ? HttpPort : null;
        }

        if (int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var port) && port is > 0 and <= 65535)
        {
            return port;
        }

        section.Problem("port", $"\"{Printable.Of(text)}\" is neither a port nor the word any");
        return HttpPort;
    }
}
