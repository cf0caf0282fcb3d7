# SavedModel folders: signatures are chosen and listed, side files counted; what is missing or damaged is named.
data="$(dirname "$(dirname "$CASES")")/data/tensorflow"
cp -r "$data/functions" "$data/shards" "$data/graph_refs" .
chmod -R u+w .
mnn convert graph_refs -o refs.mnn | grep -A1 "inputs\|outputs" | sed 's/^ *//'
mnn convert functions --import signature=scale -o scale.mnn --json | python3 -c "
import json, sys
r = json.load(sys.stdin)
print(r['facts']['signatures'], r['facts']['signature'], r['format'])"
mnn inspect scale.mnn | sed -n '2,4p'
mnn inspect functions/saved_model.pb --import signature=project | grep signatures
fails() { "$@" 2>err >/dev/null && code=0 || code=$?; echo "$code $(tail -1 err)"; }
fails mnn convert functions -o out.mnn
fails mnn convert functions --import signature=sclae -o out.mnn
rm shards/variables/*data-00001*
fails mnn convert shards --import signature=project -o out.mnn
printf x > functions/variables/variables.index
fails mnn convert functions --import signature=project -o out.mnn
rm -r functions/variables
fails mnn convert functions --import signature=project -o out.mnn
fails mnn convert shards/variables/variables.index -o out.mnn
ls out.mnn 2>/dev/null || echo "nothing written"
