using System.Globalization;
using System.Net;
using System.Security.Claims;
using Signet.AspNetCore;
using Signet.Client;
using Signet.Identity.Spiffe;

// Orders [PORT]: answers to workloads of its own trust domain, and takes orders from the shop alone.
if (!WorkloadApiAddress.TryFromEnvironment(out var agent, out var problem))
{
    Console.Error.WriteLine($"error: {problem}");
    return 1;
}

await using var source = new X509Source(agent, TimeProvider.System);
var me = (await source.WaitAsync(CancellationToken.None)).Default.Id;
var shop = SpiffeId.Of(me.TrustDomain, "/shop");

var port = args.Length > 0 ? int.Parse(args[0], CultureInfo.InvariantCulture) : 9443;
var builder = WebApplication.CreateSlimBuilder(args);
builder.WebHost.UseKestrelHttpsConfiguration();
builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, port, listen =>
    listen.UseMutualTls(source, Authorizer.MemberOf(me.TrustDomain), TimeProvider.System)));
builder.Services.AddAuthentication(SpiffeAuthentication.Scheme).AddSpiffe();
builder.Services.AddAuthorizationBuilder().AddPolicy("shop", policy => policy.RequireSpiffeId(shop));

var app = builder.Build();
app.MapGet("/", (ClaimsPrincipal user) => $"I am {me}, you are {user.Identity?.Name}\n");
app.MapPost("/orders", (ClaimsPrincipal user) => $"ordered for {user.Identity?.Name}\n").RequireAuthorization("shop");
await app.RunAsync();
return 0;
