<?php
// The conformance agent of the PHP extension: one JSON object a line in, one out. Needs the extension loaded:
//   php -d extension=shmd php.php
use Shmd\{Access, AclEntry, Client, CreateMode, HugePages, Lifetime, Reserve, Segment, SegmentInfo, Watch};

final class Agent
{
    private ?Client $client = null;
    /** @var array<int, Segment> */
    private array $segments = [];
    /** @var array<int, Watch> */
    private array $watches = [];
    private int $last = 0;

    public function answer(string $line): array
    {
        try {
            $request = json_decode($line, true, flags: JSON_THROW_ON_ERROR);
            $op = $request["op"];
            unset($request["op"]);
            if (!method_exists($this, "op_$op")) throw new ValueError("there is no op '$op'");
            return ["ok" => (object)$this->{"op_$op"}($request)];
        } catch (Throwable $e) {
            return ["error" => self::error($e)];
        }
    }

    private static function error(Throwable $e): array
    {
        $is_ours = $e instanceof Shmd\Exception;
        $local = $is_ours ? (new ReflectionClass($e))->getShortName() : "";
        if ($e instanceof Shmd\NotWritable) $local = "ReadOnly";  // a word that PHP keeps for itself
        return ["name" => $is_ours && $e->getName() !== "" ? $e->getName() : $local,
                "parameters" => (object)($is_ours ? $e->getParameters() : []), "class" => get_class($e), "message" => $e->getMessage()];
    }

    private function client(): Client
    {
        return $this->client ??= new Client;
    }

    /** The parameters with the enums and objects that the extension takes. */
    private static function typed(array $request): array
    {
        $enums = ["access" => Access::class, "createMode" => CreateMode::class, "reserve" => Reserve::class,
                  "lifetime" => Lifetime::class, "hugePages" => HugePages::class];
        foreach ($enums as $name => $enum) {
            if (isset($request[$name])) $request[$name] = $enum::from($request[$name]);
        }
        if (isset($request["acl"])) {
            $request["acl"] = array_map(fn($entry) => isset($entry["uid"]) ? AclEntry::user($entry["uid"], Access::from($entry["access"]))
                                                                           : AclEntry::group($entry["gid"], Access::from($entry["access"])), $request["acl"]);
        }
        return array_filter($request, fn($value) => $value !== null);
    }

    private function keep(Segment $segment): array
    {
        $this->segments[++$this->last] = $segment;
        return ["handle" => $this->last, "segment" => $segment->info()];
    }

    private function op_create(array $request): array
    {
        $segment = $this->client()->create(...["key" => null, ...self::typed($request)]);
        return [...$this->keep($segment), "created" => $segment->created()];
    }

    private function op_open(array $request): array
    {
        return $this->keep($this->client()->open(...self::typed($request)));
    }

    private function op_openMany(array $request): array
    {
        $results = $this->client()->openMany($request["keys"], Access::from($request["access"]));
        return ["results" => array_map(fn($result) => $result instanceof Segment ? $this->keep($result) : ["error" => self::error($result)], $results)];
    }

    private function op_write(array $request): array
    {
        $this->segments[$request["handle"]]->write(hex2bin($request["hex"]), $request["offset"] ?? 0);
        return [];
    }

    private function op_read(array $request): array
    {
        return ["hex" => bin2hex($this->segments[$request["handle"]]->read($request["offset"] ?? 0, $request["length"] ?? null))];
    }

    private function op_describe(array $request): array
    {
        return ["segment" => $this->client()->describe(...$request)];
    }

    private function op_list(array $request): array
    {
        return ["segments" => $this->client()->list($request["prefix"] ?? "")];
    }

    private function op_publish(array $request): array
    {
        $segment = $this->segments[$request["handle"]];
        return ["segment" => $segment->publish($request["key"] ?? null, $request["replace"] ?? false)->info()];
    }

    private function op_seal(array $request): array
    {
        return ["segment" => $this->segments[$request["handle"]]->seal()->info()];
    }

    private function op_resize(array $request): array
    {
        return ["segment" => $this->segments[$request["handle"]]->resize($request["sizeBytes"])->info()];
    }

    private function op_remap(array $request): array
    {
        return ["segment" => $this->segments[$request["handle"]]->remap()->info()];
    }

    private function op_setAttributes(array $request): array
    {
        return ["segment" => $this->client()->setAttributes(...self::typed($request))];
    }

    private function op_renew(array $request): array
    {
        return ["segment" => $this->client()->renew(...$request)];
    }

    private function op_delete(array $request): array
    {
        $this->client()->delete(...$request);
        return [];
    }

    private function op_close(array $request): array
    {
        $this->segments[$request["handle"]]->close();
        return [];
    }

    private function op_watch(array $request): array
    {
        $this->watches[++$this->last] = $this->client()->watch($request["prefix"] ?? "");
        return ["watch" => $this->last];
    }

    private function op_nextEvent(array $request): array
    {
        $event = $this->watches[$request["watch"]]->nextEvent();
        return ["event" => $event->kind] + ($event->segment ? ["segment" => $event->segment] : []);
    }

    private function op_unwatch(array $request): array
    {
        $this->watches[$request["watch"]]->close();
        return [];
    }

    private function op_capabilities(array $request): array
    {
        return ["language" => "php", "version" => Shmd\version(), "missing" => []];
    }
}

$agent = new Agent;
while (($line = fgets(STDIN)) !== false) {
    fwrite(STDOUT, json_encode($agent->answer($line), JSON_UNESCAPED_SLASHES) . "\n");
}
