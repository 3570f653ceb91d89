# bash completion for storectl. Made by: storectl completion bash
_storectl() {
    local cur="${COMP_WORDS[COMP_CWORD]}" prev="${COMP_WORDS[COMP_CWORD-1]}"
    local path="" next word words options i
    local globals="-p --profile --server --store --json --jsonl --csv --tsv --csv-safe -q --quiet --color --progress --accessible -y --yes -j --jobs --rate --bwlimit --timeout --retries --no-input -v --debug --help"
    for ((i = 1; i < COMP_CWORD; i++)); do
        word="${COMP_WORDS[i]}"
        case "$word" in
        --access|--apply|--batch|--blobs|--bwlimit|--client-key|--collect|--collection|--color|--default-access|--delimiter|--dir|--email|--error|--exclude|--expires|--fail-on|--feed-description|--feed-title|--field|--fields|--file|--flatten|--format|--from-end|--garbage-grace|--glob|--header|--host|--id|--include|--input|--jobs|--keep|--keep-old|--key|--layout|--limit|--lock-secs|--map|--max-delete|--max-items|--max-retries|--method|--metrics|--offset|--older-than|--omit|--only|--output|--output-fields|--owner|--plan|--port|--prefix|--profile|--progress|--public-url|--rate|--rate-limit|--ready-file|--resource|--retention|--retries|--scope|--secs|--server|--sort|--split|--stale|--state|--store|--timeout|--type|--unique-key|--until-idle|--unwind|--url|--url-glob|--user|--user-data|--value|--view|--workers|--write-to|--xml-root|--xml-row|-H|-f|-i|-j|-o|-p|-t) ((i++)); continue ;;
        -*) continue ;;
        esac
        next="${path:+$path }$word"
        case "$next" in
        "dataset"|"dataset ls"|"dataset create"|"dataset info"|"dataset rename"|"dataset rm"|"dataset prune"|"dataset access"|"dataset access ls"|"dataset access set"|"dataset access grant"|"dataset access revoke"|"dataset link"|"dataset copy"|"dataset items"|"dataset push"|"dataset pull"|"dataset tail"|"dataset verify"|"dataset stats"|"dataset diff"|"dataset dedupe"|"dataset sql"|"kvs"|"kvs ls"|"kvs create"|"kvs info"|"kvs rename"|"kvs rm"|"kvs prune"|"kvs access"|"kvs access ls"|"kvs access set"|"kvs access grant"|"kvs access revoke"|"kvs link"|"kvs copy"|"kvs keys"|"kvs get"|"kvs set"|"kvs unset"|"kvs pull"|"kvs push"|"kvs sync"|"queue"|"queue ls"|"queue create"|"queue info"|"queue rename"|"queue rm"|"queue prune"|"queue access"|"queue access ls"|"queue access set"|"queue access grant"|"queue access revoke"|"queue copy"|"queue export"|"queue import"|"queue lock"|"queue unlock"|"queue handle"|"queue work"|"queue add"|"queue head"|"queue requests"|"queue get"|"queue retry"|"queue rm-requests"|"local"|"local ls"|"local import"|"local export"|"access"|"access report"|"access default"|"token"|"token create"|"token ls"|"token info"|"token rotate"|"token revoke"|"token check"|"serve"|"open"|"backup"|"restore"|"store"|"store move"|"store release"|"login"|"logout"|"whoami"|"profile"|"profile ls"|"profile add"|"profile use"|"profile show"|"profile rm"|"config"|"config path"|"config get"|"config set"|"api"|"doctor"|"completion"|"help") path="$next" ;;
        *) break ;;
        esac
    done
    case "$path $prev" in
        "dataset ls --sort") COMPREPLY=($(compgen -W "name created modified size items" -- "$cur")); return ;;
        "dataset create --access") COMPREPLY=($(compgen -W "inherit restricted id name" -- "$cur")); return ;;
        "dataset link --format") COMPREPLY=($(compgen -W "json jsonl csv tsv xml rss html xlsx" -- "$cur")); return ;;
        "dataset link -f") COMPREPLY=($(compgen -W "json jsonl csv tsv xml rss html xlsx" -- "$cur")); return ;;
        "dataset items --format") COMPREPLY=($(compgen -W "json jsonl csv tsv xml rss html xlsx parquet" -- "$cur")); return ;;
        "dataset items -f") COMPREPLY=($(compgen -W "json jsonl csv tsv xml rss html xlsx parquet" -- "$cur")); return ;;
        "dataset push --format") COMPREPLY=($(compgen -W "auto json jsonl csv" -- "$cur")); return ;;
        "dataset push -f") COMPREPLY=($(compgen -W "auto json jsonl csv" -- "$cur")); return ;;
        "dataset pull --format") COMPREPLY=($(compgen -W "json jsonl csv tsv xml rss html xlsx parquet" -- "$cur")); return ;;
        "dataset pull -f") COMPREPLY=($(compgen -W "json jsonl csv tsv xml rss html xlsx parquet" -- "$cur")); return ;;
        "dataset dedupe --keep") COMPREPLY=($(compgen -W "first last" -- "$cur")); return ;;
        "kvs ls --sort") COMPREPLY=($(compgen -W "name created modified size items" -- "$cur")); return ;;
        "kvs create --access") COMPREPLY=($(compgen -W "inherit restricted id name" -- "$cur")); return ;;
        "queue ls --sort") COMPREPLY=($(compgen -W "name created modified size items" -- "$cur")); return ;;
        "queue create --access") COMPREPLY=($(compgen -W "inherit restricted id name" -- "$cur")); return ;;
        "local import --layout") COMPREPLY=($(compgen -W "auto js python" -- "$cur")); return ;;
        "local export --layout") COMPREPLY=($(compgen -W "auto js python" -- "$cur")); return ;;
        "access report --fail-on") COMPREPLY=($(compgen -W "public shared links stale" -- "$cur")); return ;;
        "token create --scope") COMPREPLY=($(compgen -W "dataset:read dataset:write dataset:manage dataset:list dataset:create kvs:read kvs:write kvs:manage kvs:list kvs:create queue:read queue:write queue:manage queue:list queue:create" -- "$cur")); return ;;
        "serve --default-access") COMPREPLY=($(compgen -W "restricted id" -- "$cur")); return ;;
        *" --color") COMPREPLY=($(compgen -W "auto always never" -- "$cur")); return ;;
        *" --progress") COMPREPLY=($(compgen -W "auto plain none" -- "$cur")); return ;;
    esac
    case "$prev" in
        --access|--apply|--batch|--blobs|--bwlimit|--client-key|--collect|--collection|--color|--default-access|--delimiter|--dir|--email|--error|--exclude|--expires|--fail-on|--feed-description|--feed-title|--field|--fields|--file|--flatten|--format|--from-end|--garbage-grace|--glob|--header|--host|--id|--include|--input|--jobs|--keep|--keep-old|--key|--layout|--limit|--lock-secs|--map|--max-delete|--max-items|--max-retries|--method|--metrics|--offset|--older-than|--omit|--only|--output|--output-fields|--owner|--plan|--port|--prefix|--profile|--progress|--public-url|--rate|--rate-limit|--ready-file|--resource|--retention|--retries|--scope|--secs|--server|--sort|--split|--stale|--state|--store|--timeout|--type|--unique-key|--until-idle|--unwind|--url|--url-glob|--user|--user-data|--value|--view|--workers|--write-to|--xml-root|--xml-row|-H|-f|-i|-j|-o|-p|-t) COMPREPLY=(); return ;;
    esac
    case "$path" in
        "") words="dataset kvs queue local access token serve open backup restore store login logout whoami profile config api doctor completion help" options="" ;;
        "dataset") words="ls create info rename rm prune access link copy items push pull tail verify stats diff dedupe sql" options="" ;;
        "dataset ls") words="" options="--unnamed --all -a --sort --reverse -r --limit --older-than --owner" ;;
        "dataset create") words="" options="--exist-ok --access" ;;
        "dataset info") words="" options="" ;;
        "dataset rename") words="" options="--unname --dry-run -n" ;;
        "dataset rm") words="" options="--dry-run -n --if-exists" ;;
        "dataset prune") words="" options="--older-than --all -a --dry-run -n" ;;
        "dataset access") words="ls set grant revoke" options="" ;;
        "dataset access ls") words="" options="" ;;
        "dataset access set") words="inherit restricted id name" options="--dry-run -n" ;;
        "dataset access grant") words="" options="--read --write --manage --dry-run -n" ;;
        "dataset access revoke") words="" options="--dry-run -n" ;;
        "dataset link") words="" options="--expires --never --format -f --revoke-all --public-url --dry-run -n --limit --offset --desc --fields --output-fields --omit --unwind --flatten --clean --skip-hidden --skip-empty --view --simplified --skip-failed-pages --delimiter --bom --no-header --skip-header-row --xml-root --xml-row --feed-title --feed-description" ;;
        "dataset copy") words="" options="--create --fields --omit --append" ;;
        "dataset items") words="" options="--format -f --output -o --all -a --limit --offset --desc --fields --output-fields --omit --unwind --flatten --clean --skip-hidden --skip-empty --view --simplified --skip-failed-pages --delimiter --bom --no-header --skip-header-row --xml-root --xml-row --feed-title --feed-description" ;;
        "dataset push") words="" options="--format -f --typed --delimiter --create --ordered --resume --allow-empty" ;;
        "dataset pull") words="" options="--format -f --output -o --resume --gzip --zstd --append --no-clobber --split --limit --offset --desc --fields --output-fields --omit --unwind --flatten --clean --skip-hidden --skip-empty --view --simplified --skip-failed-pages --delimiter --bom --no-header --skip-header-row --xml-root --xml-row --feed-title --feed-description" ;;
        "dataset tail") words="" options="--follow -f --from-end --until-idle --max-items" ;;
        "dataset verify") words="" options="--typed --delimiter" ;;
        "dataset stats") words="" options="--key --approx" ;;
        "dataset diff") words="" options="--key --fields --summary" ;;
        "dataset dedupe") words="" options="--key --write-to --keep --dry-run -n" ;;
        "dataset sql") words="" options="--file -f --fields" ;;
        "kvs") words="ls create info rename rm prune access link copy keys get set unset pull push sync" options="" ;;
        "kvs ls") words="" options="--unnamed --all -a --sort --reverse -r --limit --older-than --owner" ;;
        "kvs create") words="" options="--exist-ok --access" ;;
        "kvs info") words="" options="" ;;
        "kvs rename") words="" options="--unname --dry-run -n" ;;
        "kvs rm") words="" options="--dry-run -n --if-exists" ;;
        "kvs prune") words="" options="--older-than --all -a --dry-run -n" ;;
        "kvs access") words="ls set grant revoke" options="" ;;
        "kvs access ls") words="" options="" ;;
        "kvs access set") words="inherit restricted id name" options="--dry-run -n" ;;
        "kvs access grant") words="" options="--read --write --manage --dry-run -n" ;;
        "kvs access revoke") words="" options="--dry-run -n" ;;
        "kvs link") words="" options="--expires --never --revoke-all --public-url --dry-run -n" ;;
        "kvs copy") words="" options="--create --include --exclude" ;;
        "kvs keys") words="" options="--prefix --glob --collection --limit" ;;
        "kvs get") words="" options="--output -o --head --raw" ;;
        "kvs set") words="" options="--value --type -t --create --no-clobber --allow-empty" ;;
        "kvs unset") words="" options="--prefix --glob --dry-run -n" ;;
        "kvs pull") words="" options="--include --exclude --checksum --size-only --no-clobber --raw --jobs -j --dry-run -n" ;;
        "kvs push") words="" options="--include --exclude --checksum --size-only --no-clobber --create --jobs -j --dry-run -n" ;;
        "kvs sync") words="" options="--include --exclude --delete --max-delete --checksum --size-only --existing --ignore-existing --no-clobber --raw --create --jobs -j --plan --apply --dry-run -n" ;;
        "queue") words="ls create info rename rm prune access copy export import lock unlock handle work add head requests get retry rm-requests" options="" ;;
        "queue ls") words="" options="--unnamed --all -a --sort --reverse -r --limit --older-than --owner" ;;
        "queue create") words="" options="--exist-ok --access" ;;
        "queue info") words="" options="" ;;
        "queue rename") words="" options="--unname --dry-run -n" ;;
        "queue rm") words="" options="--dry-run -n --if-exists" ;;
        "queue prune") words="" options="--older-than --all -a --dry-run -n" ;;
        "queue access") words="ls set grant revoke" options="" ;;
        "queue access ls") words="" options="" ;;
        "queue access set") words="inherit restricted id name" options="--dry-run -n" ;;
        "queue access grant") words="" options="--read --write --manage --dry-run -n" ;;
        "queue access revoke") words="" options="--dry-run -n" ;;
        "queue copy") words="" options="--create --state --reset --ordered" ;;
        "queue export") words="" options="--output -o --state" ;;
        "queue import") words="" options="--reset --create --ordered" ;;
        "queue lock") words="" options="--limit --secs --client-key" ;;
        "queue unlock") words="" options="--client-key --mine --all -a --forefront --dry-run -n" ;;
        "queue handle") words="" options="--client-key --error --dry-run -n" ;;
        "queue work") words="" options="--jobs -j --collect --create --max-retries --drain --batch --lock-secs --client-key" ;;
        "queue add") words="" options="--input -i --method --user-data --unique-key --forefront --create --ordered" ;;
        "queue head") words="" options="--limit --client-key" ;;
        "queue requests") words="" options="--state --url-glob --limit" ;;
        "queue get") words="" options="--url --unique-key" ;;
        "queue retry") words="" options="--id --failed --state --dry-run -n" ;;
        "queue rm-requests") words="" options="--state --dry-run -n" ;;
        "local") words="ls import export" options="" ;;
        "local ls") words="" options="--only" ;;
        "local import") words="" options="--layout --only --map --dry-run -n" ;;
        "local export") words="" options="--all -a --layout --only --map --force --dry-run -n" ;;
        "access") words="report default" options="" ;;
        "access report") words="" options="--public --shared --links --stale --fail-on" ;;
        "access default") words="restricted id inherit" options="--dry-run -n" ;;
        "token") words="create ls info rotate revoke check" options="" ;;
        "token create") words="" options="--user --email --scope --resource --expires --never" ;;
        "token ls") words="" options="" ;;
        "token info") words="" options="" ;;
        "token rotate") words="" options="--keep-old --dry-run -n" ;;
        "token revoke") words="" options="--dry-run -n" ;;
        "token check") words="" options="" ;;
        "serve") words="" options="--host --port --dir --blobs --rate-limit --retention --garbage-grace --default-access --workers --metrics --ready-file --public-url --open" ;;
        "open") words="" options="--no-browser" ;;
        "backup") words="" options="" ;;
        "restore") words="" options="" ;;
        "store") words="move release" options="" ;;
        "store move") words="" options="--blobs" ;;
        "store release") words="" options="" ;;
        "login") words="" options="--with-token --allow-http" ;;
        "logout") words="" options="--all -a" ;;
        "whoami") words="" options="" ;;
        "profile") words="ls add use show rm" options="" ;;
        "profile ls") words="" options="" ;;
        "profile add") words="" options="--allow-http" ;;
        "profile use") words="" options="" ;;
        "profile show") words="" options="" ;;
        "profile rm") words="" options="" ;;
        "config") words="path get set" options="" ;;
        "config path") words="" options="" ;;
        "config get") words="" options="" ;;
        "config set") words="" options="" ;;
        "api") words="" options="--field -f --header -H --input --include -i" ;;
        "doctor") words="" options="--deep --repair --dry-run -n" ;;
        "completion") words="bash zsh fish powershell" options="--install" ;;
        "help") words="" options="" ;;
    esac
    if [[ "$cur" == -* ]]; then
        COMPREPLY=($(compgen -W "$options $globals" -- "$cur"))
    else
        COMPREPLY=($(compgen -W "$words" -- "$cur"))
    fi
}
complete -o default -F _storectl storectl
