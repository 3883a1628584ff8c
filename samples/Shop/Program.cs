using System.Globalization;
using Signet.Client;
using Signet.Client.Http;
using Signet.Client.Tls;
using Signet.Identity.Spiffe;

// Shop [COUNT [PORT]]: asks orders every second over one HttpClient, which lives as long as the process and follows every rotation.
if (!WorkloadApiAddress.TryFromEnvironment(out var agent, out var problem))
{
    Console.Error.WriteLine($"error: {problem}");
    return 1;
}

var count = args.Length > 0 ? int.Parse(args[0], CultureInfo.InvariantCulture) : int.MaxValue;
var port = args.Length > 1 ? int.Parse(args[1], CultureInfo.InvariantCulture) : 9443;
await using var source = new X509Source(agent, TimeProvider.System);
var me = (await source.WaitAsync(CancellationToken.None)).Default.Id;
var orders = Authorizer.Exactly(SpiffeId.Of(me.TrustDomain, "/orders"));
using var http = new HttpClient(new MutualTlsHandler(new MutualTls(source, orders, TimeProvider.System))) { BaseAddress = new Uri($"https://127.0.0.1:{port}") };

using var second = new PeriodicTimer(TimeSpan.FromSeconds(1));
for (var i = 0; i < count; i++)
{
    Console.Write(await http.GetStringAsync("/"));
    using var ordered = await http.PostAsync("/orders", content: null);
    Console.Write($"{(int)ordered.StatusCode} {await ordered.Content.ReadAsStringAsync()}");
    if (i + 1 < count)
    {
        await second.WaitForNextTickAsync();
    }
}

return 0;
