# PowerShell completion for storectl. Made by: storectl completion powershell
Register-ArgumentCompleter -Native -CommandName storectl -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    $places = @{
        '' = @{ commands = [ordered]@{ 'dataset' = 'Datasets: append items, read them back in any format.'; 'kvs' = 'Key-value stores: records of any type, by key.'; 'queue' = 'Request queues: URLs to visit, each once.'; 'token' = 'API tokens of a store: create, list, revoke.'; 'serve' = 'Serve the embedded store to API clients, SDKs and Crawlee.'; 'login' = 'Check a token and keep it for a profile.'; 'logout' = 'Forget the stored token of a profile.'; 'whoami' = 'Say whose storages the next command will see, where, and why.'; 'profile' = 'Profiles: servers and accounts, by name.'; 'config' = 'Settings of config.toml: path, get, set.'; 'api' = 'Call the API of a server, with its token, and print the answer as it comes.'; 'doctor' = 'Check this installation and its connection.'; 'completion' = 'Print or install the completion of a shell.'; 'help' = 'Explain exit codes, variables, references, formats.' }; options = [ordered]@{  } }
        'dataset' = @{ commands = [ordered]@{ 'ls' = 'List datasets, in the order they were created.'; 'create' = 'Create a dataset.'; 'info' = 'Describe one dataset.'; 'rename' = 'Name a dataset, so that it is kept; or take its name away.'; 'rm' = 'Delete datasets with all they hold. There is no way back.'; 'items' = 'Read the items of a dataset.'; 'push' = 'Append items to a dataset, in the order of the files.' }; options = [ordered]@{  } }
        'dataset ls' = @{ commands = [ordered]@{  }; options = [ordered]@{ '--unnamed' = 'Only those without a name.'; '--all' = 'With and without a name.'; '-a' = 'With and without a name.'; '--sort' = 'Order by this.'; '--reverse' = 'Last first.'; '-r' = 'Last first.'; '--limit' = 'At most N.'; '--older-than' = 'Not modified for so long: 30d, 12h.' } }
        'dataset create' = @{ commands = [ordered]@{  }; options = [ordered]@{ '--exist-ok' = 'Take the one of that name if there is one.'; '--access' = 'Who may read it without rights of their own.' } }
        'dataset info' = @{ commands = [ordered]@{  }; options = [ordered]@{  } }
        'dataset rename' = @{ commands = [ordered]@{  }; options = [ordered]@{ '--unname' = 'Take the name away; it may then expire.'; '--dry-run' = 'Change nothing, say what would change.'; '-n' = 'Change nothing, say what would change.' } }
        'dataset rm' = @{ commands = [ordered]@{  }; options = [ordered]@{ '--dry-run' = 'Change nothing, say what would change.'; '-n' = 'Change nothing, say what would change.'; '--if-exists' = 'What is not there is no failure.' } }
        'dataset items' = @{ commands = [ordered]@{  }; options = [ordered]@{ '--format' = 'json, jsonl, csv, tsv, xml, rss, html, xlsx.'; '-f' = 'json, jsonl, csv, tsv, xml, rss, html, xlsx.'; '--output' = 'Write to FILE, which appears when it is whole; - is stdout.'; '-o' = 'Write to FILE, which appears when it is whole; - is stdout.'; '--limit' = 'At most N.'; '--offset' = 'Pass over so many first.'; '--all' = 'Every row, also on a terminal.'; '-a' = 'Every row, also on a terminal.'; '--desc' = 'Newest first.'; '--fields' = 'Only these, in this order.'; '--output-fields' = 'Names for --fields, one for each.'; '--omit' = 'All but these.'; '--unwind' = 'A row for each element of these arrays.'; '--flatten' = 'Nested values of these as a.b.'; '--clean' = 'As --skip-hidden and --skip-empty.'; '--skip-hidden' = 'Without fields that start with #.'; '--skip-empty' = 'Without empty items.'; '--view' = 'A view of the schema.'; '--simplified' = 'The short form of old crawlers.'; '--skip-failed-pages' = 'Without items that have errorInfo.'; '--delimiter' = 'Between cells of csv.'; '--bom' = 'A byte order mark first, for old spreadsheets.'; '--no-header' = 'csv without its head.'; '--skip-header-row' = 'csv without its head.'; '--xml-root' = 'Outer element of xml.'; '--xml-row' = 'Element of an item in xml.'; '--feed-title' = 'Title of rss.'; '--feed-description' = 'Description of rss.' } }
        'dataset push' = @{ commands = [ordered]@{  }; options = [ordered]@{ '--format' = 'auto, json, jsonl or csv.'; '-f' = 'auto, json, jsonl or csv.'; '--typed' = 'Cells of csv that look like numbers are numbers.'; '--delimiter' = 'Between cells of csv.'; '--create' = 'Create the dataset if there is none of that name.'; '--allow-empty' = 'An input without items is no failure.' } }
        'kvs' = @{ commands = [ordered]@{ 'ls' = 'List key-value stores, in the order they were created.'; 'create' = 'Create a key-value store.'; 'info' = 'Describe one key-value store.'; 'rename' = 'Name a key-value store, so that it is kept; or take its name away.'; 'rm' = 'Delete key-value stores with all they hold. There is no way back.'; 'keys' = 'List the keys of a store, in binary order, with size and type.'; 'get' = 'Write the value of a record, byte for byte.'; 'set' = 'Store a file, stdin or a text under a key, byte for byte.'; 'unset' = 'Delete records: those of the keys, or all that --prefix and --glob select.' }; options = [ordered]@{  } }
        'kvs ls' = @{ commands = [ordered]@{  }; options = [ordered]@{ '--unnamed' = 'Only those without a name.'; '--all' = 'With and without a name.'; '-a' = 'With and without a name.'; '--sort' = 'Order by this.'; '--reverse' = 'Last first.'; '-r' = 'Last first.'; '--limit' = 'At most N.'; '--older-than' = 'Not modified for so long: 30d, 12h.' } }
        'kvs create' = @{ commands = [ordered]@{  }; options = [ordered]@{ '--exist-ok' = 'Take the one of that name if there is one.'; '--access' = 'Who may read it without rights of their own.' } }
        'kvs info' = @{ commands = [ordered]@{  }; options = [ordered]@{  } }
        'kvs rename' = @{ commands = [ordered]@{  }; options = [ordered]@{ '--unname' = 'Take the name away; it may then expire.'; '--dry-run' = 'Change nothing, say what would change.'; '-n' = 'Change nothing, say what would change.' } }
        'kvs rm' = @{ commands = [ordered]@{  }; options = [ordered]@{ '--dry-run' = 'Change nothing, say what would change.'; '-n' = 'Change nothing, say what would change.'; '--if-exists' = 'What is not there is no failure.' } }
        'kvs keys' = @{ commands = [ordered]@{  }; options = [ordered]@{ '--prefix' = 'Only keys that start so.'; '--glob' = 'Only keys like this; quote it.'; '--collection' = 'Only keys of this collection of its schema.'; '--limit' = 'At most N.' } }
        'kvs get' = @{ commands = [ordered]@{  }; options = [ordered]@{ '--output' = 'Write to FILE, which appears when it is whole; - is stdout.'; '-o' = 'Write to FILE, which appears when it is whole; - is stdout.'; '--head' = 'Only type, encoding and size, without the value.'; '--raw' = 'The bytes as stored: packed, if they are.' } }
        'kvs set' = @{ commands = [ordered]@{  }; options = [ordered]@{ '--value' = 'The value itself.'; '--type' = 'Its content type.'; '-t' = 'Its content type.'; '--create' = 'Create the store if there is none of that name.'; '--no-clobber' = 'Keep a record that is there, and exit with 6.'; '--allow-empty' = 'A value without bytes is no failure.' } }
        'kvs unset' = @{ commands = [ordered]@{  }; options = [ordered]@{ '--prefix' = 'Only keys that start so.'; '--glob' = 'Only keys like this; quote it.'; '--dry-run' = 'Change nothing, say what would change.'; '-n' = 'Change nothing, say what would change.' } }
        'queue' = @{ commands = [ordered]@{ 'ls' = 'List request queues, in the order they were created.'; 'create' = 'Create a request queue.'; 'info' = 'Describe one request queue.'; 'rename' = 'Name a request queue, so that it is kept; or take its name away.'; 'rm' = 'Delete request queues with all they hold. There is no way back.' }; options = [ordered]@{  } }
        'queue ls' = @{ commands = [ordered]@{  }; options = [ordered]@{ '--unnamed' = 'Only those without a name.'; '--all' = 'With and without a name.'; '-a' = 'With and without a name.'; '--sort' = 'Order by this.'; '--reverse' = 'Last first.'; '-r' = 'Last first.'; '--limit' = 'At most N.'; '--older-than' = 'Not modified for so long: 30d, 12h.' } }
        'queue create' = @{ commands = [ordered]@{  }; options = [ordered]@{ '--exist-ok' = 'Take the one of that name if there is one.'; '--access' = 'Who may read it without rights of their own.' } }
        'queue info' = @{ commands = [ordered]@{  }; options = [ordered]@{  } }
        'queue rename' = @{ commands = [ordered]@{  }; options = [ordered]@{ '--unname' = 'Take the name away; it may then expire.'; '--dry-run' = 'Change nothing, say what would change.'; '-n' = 'Change nothing, say what would change.' } }
        'queue rm' = @{ commands = [ordered]@{  }; options = [ordered]@{ '--dry-run' = 'Change nothing, say what would change.'; '-n' = 'Change nothing, say what would change.'; '--if-exists' = 'What is not there is no failure.' } }
        'token' = @{ commands = [ordered]@{ 'create' = 'Create a token. It is shown this once: the store keeps only its hash.'; 'ls' = 'List tokens, without their secrets.'; 'revoke' = 'End a token at once. Whoever uses it gets 401 from then on.' }; options = [ordered]@{  } }
        'token create' = @{ commands = [ordered]@{  }; options = [ordered]@{ '--user' = 'Who it speaks for; made on a store of ours.' } }
        'token ls' = @{ commands = [ordered]@{  }; options = [ordered]@{  } }
        'token revoke' = @{ commands = [ordered]@{  }; options = [ordered]@{ '--dry-run' = 'Change nothing, say what would change.'; '-n' = 'Change nothing, say what would change.' } }
        'serve' = @{ commands = [ordered]@{  }; options = [ordered]@{ '--host' = 'Address to listen on.'; '--port' = '0 takes a free one.'; '--dir' = 'Folder of the store; as --store.'; '--rate-limit' = 'Requests a second of each storage, in general and for single items. [default: 30/200]'; '--default-access' = 'Who may read storages that do not say: restricted, or id for whoever knows the ID. [default: id]'; '--ready-file' = 'Written when it answers.'; '--public-url' = 'The address clients know, behind a proxy.' } }
        'login' = @{ commands = [ordered]@{  }; options = [ordered]@{ '--with-token' = 'Read the token from stdin, one line.'; '--allow-http' = 'Trust http:// to a host that is not this one.' } }
        'logout' = @{ commands = [ordered]@{  }; options = [ordered]@{ '--all' = 'Of every profile.'; '-a' = 'Of every profile.' } }
        'whoami' = @{ commands = [ordered]@{  }; options = [ordered]@{  } }
        'profile' = @{ commands = [ordered]@{ 'ls' = 'List profiles; * is the default.'; 'add' = 'Add a profile, or change where it leads: --server URL or --store PLACE.'; 'use' = 'Make a profile the default.'; 'show' = 'Describe a profile, without its token.'; 'rm' = 'Remove a profile and the token stored for it.' }; options = [ordered]@{  } }
        'profile ls' = @{ commands = [ordered]@{  }; options = [ordered]@{  } }
        'profile add' = @{ commands = [ordered]@{  }; options = [ordered]@{ '--allow-http' = 'Trust http:// to a host that is not this one.' } }
        'profile use' = @{ commands = [ordered]@{  }; options = [ordered]@{  } }
        'profile show' = @{ commands = [ordered]@{  }; options = [ordered]@{  } }
        'profile rm' = @{ commands = [ordered]@{  }; options = [ordered]@{  } }
        'config' = @{ commands = [ordered]@{ 'path' = 'Print where config.toml is, or would be.'; 'get' = 'Print a setting, or all that are set.'; 'set' = 'Change a setting. Comments in config.toml go by this.' }; options = [ordered]@{  } }
        'config path' = @{ commands = [ordered]@{  }; options = [ordered]@{  } }
        'config get' = @{ commands = [ordered]@{  }; options = [ordered]@{  } }
        'config set' = @{ commands = [ordered]@{  }; options = [ordered]@{  } }
        'api' = @{ commands = [ordered]@{  }; options = [ordered]@{ '--field' = 'One of the query.'; '-f' = 'One of the query.'; '--header' = 'One of the head.'; '-H' = 'One of the head.'; '--input' = 'The body; - is stdin.'; '--include' = 'Print the head of the answer first.'; '-i' = 'Print the head of the answer first.' } }
        'doctor' = @{ commands = [ordered]@{  }; options = [ordered]@{  } }
        'completion' = @{ commands = [ordered]@{ 'bash' = 'bash'; 'zsh' = 'zsh'; 'fish' = 'fish'; 'powershell' = 'powershell' }; options = [ordered]@{ '--install' = 'Put it where the shell finds it.' } }
        'help' = @{ commands = [ordered]@{  }; options = [ordered]@{  } }
    }
    $globals = [ordered]@{ '-p' = 'Server and account.'; '--profile' = 'Server and account.'; '--server' = 'An API server; takes the place of the profile''s.'; '--store' = 'Open a store in this process: a folder or a database URL.'; '--json' = 'One JSON value; --json=id,name picks fields, --json=? names them.'; '--jsonl' = 'One JSON object a line.'; '--csv' = 'Comma-separated values with a head.'; '--tsv' = 'Tab-separated values; the form of a pipe.'; '-q' = 'Only IDs or keys, and no talk.'; '--quiet' = 'Only IDs or keys, and no talk.'; '--color' = 'auto, always or never.'; '--progress' = 'auto, plain (a line every 10 s) or none.'; '--accessible' = 'Flat ''Field: value'' lines instead of tables.'; '-y' = 'Answer every question with yes.'; '--yes' = 'Answer every question with yes.'; '--timeout' = 'For one answer of a server: 60s, 2m.'; '--retries' = 'How often to ask a server again.'; '--no-input' = 'Never ask anything.'; '-v' = 'Say what happens on stderr; tracebacks.'; '--debug' = 'Say what happens on stderr; tracebacks.'; '--help' = 'Print help.' }
    $valued = @('--access', '--collection', '--color', '--default-access', '--delimiter', '--dir', '--feed-description', '--feed-title', '--field', '--fields', '--flatten', '--format', '--glob', '--header', '--host', '--input', '--limit', '--offset', '--older-than', '--omit', '--output', '--output-fields', '--port', '--prefix', '--profile', '--progress', '--public-url', '--rate-limit', '--ready-file', '--retries', '--server', '--sort', '--store', '--timeout', '--type', '--unwind', '--user', '--value', '--view', '--xml-root', '--xml-row', '-H', '-f', '-o', '-p', '-t')
    $at = ''
    $skip = $false
    foreach ($element in $commandAst.CommandElements | Select-Object -Skip 1) {
        $word = $element.ToString()
        if ($element.Extent.EndOffset -ge $cursorPosition) { break }
        if ($skip) { $skip = $false; continue }
        if ($valued -contains $word) { $skip = $true; continue }
        if ($word.StartsWith('-')) { continue }
        $next = ("$at $word").Trim()
        if (-not $places.ContainsKey($next)) { break }
        $at = $next
    }
    $place = $places[$at]
    $words = if ($wordToComplete.StartsWith('-')) {
        @($place.options.GetEnumerator()) + @($globals.GetEnumerator())
    } else {
        @($place.commands.GetEnumerator())
    }
    foreach ($entry in $words) {
        if ($entry.Key -like "$wordToComplete*") {
            [System.Management.Automation.CompletionResult]::new(
                $entry.Key, $entry.Key, 'ParameterValue', $entry.Value)
        }
    }
}
