using Signet.Hosting.Configuration;

namespace Signet.Server.Spire;

/// <summary>One block of <c>plugins</c>: <c>NodeAttestor "join_token" { plugin_data { … } }</c>.</summary>
/// <param name="Kind">As <c>NodeAttestor</c>.</param>
/// <param name="Name">As <c>join_token</c>.</param>
internal sealed record SpirePlugin(string Kind, string Name, ConfigSection Owner, ConfigSection Block)
{
    /// <summary>What the plugin itself is told.</summary>
    public ConfigSection Data => Block.Section("plugin_data");

    /// <summary>All that are enabled. In JSON the plugins of a kind may also stand in a list, one name each.</summary>
    public static IEnumerable<SpirePlugin> All(ConfigSection plugins)
    {
        foreach (var kind in plugins.Keys)
        {
            foreach (var owner in plugins.Shape(kind) == ConfigShape.List ? plugins.Sections(kind) : [plugins.Section(kind)])
            {
                foreach (var name in owner.Keys)
                {
                    var plugin = new SpirePlugin(kind, name, owner, owner.Section(name));
                    if (plugin.Block.Flag("enabled", true))
                    {
                        plugin.CheckIsBuiltIn();
                        yield return plugin;
                    }
                    else
                    {
                        owner.Warn(name, $"{kind} \"{name}\" is not enabled");
                    }
                }
            }
        }
    }

    /// <summary>Tells the operator that the plugin has no effect, and what happens instead.</summary>
    public void Warn(string instead) => Owner.Warn(Name, $"{Kind} \"{Name}\" has no effect: {instead}");

    /// <summary>Stops the server: going on without the plugin would be dangerous.</summary>
    public void Refuse(string why)
    {
        Owner.Problem(Name, $"{Kind} \"{Name}\" is not understood, and {why}");
        Owner.Ignore(Name);
    }

    private void CheckIsBuiltIn()
    {
        foreach (var key in Block.Keys.Where(key => key is "plugin_cmd" or "plugin_checksum" or "plugin_args" or "plugin_data_file"))
        {
            Block.Problem(key, $"{Kind} \"{Name}\" lies outside this program and can't be loaded; take it out");
            Block.Ignore(key);
        }
    }
}
